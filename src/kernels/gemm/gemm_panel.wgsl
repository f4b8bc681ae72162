// GEMM for adapters that compute on a CPU: an invocation keeps TN columns of w, KC terms of each, in an array, and lets ROWS rows
// of x pass. A subgroup's invocations are neighbours along N; each loads another four terms of a row, and broadcasts hand
// them to all. Sums of KC terms are added up in y, which must be f32. Bias, activation and residual (EPILOGUE) come last.
// Any sizes: columns (N_TAIL) and terms (K_TAIL) past the end are read clamped; such terms count as zero, such columns are not
// stored.
// Subgroups must have 4 invocations. Grid: x = ceil(N / (TN * 4)), y = ceil(M / ROWS).
// x [M, K] or [K, M] of X; w [N, K] or [K, N] of W; bias [N] f32; residual, y [M, N] f32.
enable subgroups;
alias X = f32;
alias W = f32;
alias Y = f32;
const M: u32 = 290u;
const N: u32 = 1024u;
const FIRST: u32 = 0u; // w's column that is y's first
const K: u32 = 1024u;
const TN: u32 = 16u;
const ROWS: u32 = 73u;
const KC: u32 = 64u; // a multiple of 16
const QUADS: u32 = 16u; // KC / 4
const BLOCKS: u32 = 4u; // KC / 16
const PANEL: u32 = 256u; // TN * QUADS
// Steps of x: (K, 1) for [M, K], (1, M) for [K, M]; of w: (K, 1) for [N, K], (1, N) for [K, N].
const ROW_STRIDE: u32 = 1024u;
const X_STRIDE: u32 = 1u;
const COL_STRIDE: u32 = 1024u;
const K_STRIDE: u32 = 1u;

// @include activations

@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> w: array<W>;
// @if BIAS
@group(0) @binding(2) var<storage, read> bias: array<f32>;
// @end
// @if RESIDUAL
@group(0) @binding(3) var<storage, read> residual: array<Y>;
// @end
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

// @include gemm_epilogue

// @include gemm_store

fn x_term(start: u32, k: u32) -> f32 {
  // @if K_TAIL
  return select(0.0f, f32(x[start + min(k, K - 1u) * X_STRIDE]), k < K);
  // @else
  return f32(x[start + k * X_STRIDE]);
  // @end
}

fn w_term(start: u32, k: u32) -> f32 {
  // @if K_TAIL
  return f32(w[start + min(k, K - 1u) * K_STRIDE]);
  // @else
  return f32(w[start + k * K_STRIDE]);
  // @end
}

@compute @workgroup_size(4)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let first = group.y * ROWS;
  let col = (group.x * 4u + local) * TN;
  var b: array<vec4<f32>, PANEL>;
  for (var k = 0u; k < K; k += KC) {
    for (var j = 0u; j < QUADS; j++) {
      let t = k + j * 4u;
      // @unroll
      for (var n = 0u; n < TN; n++) {
        let start = (FIRST + min(col + n, N - 1u)) * COL_STRIDE;
        b[j * TN + n] = vec4<f32>(w_term(start, t), w_term(start, t + 1u), w_term(start, t + 2u), w_term(start, t + 3u));
      }
    }
    for (var row = first; row < min(M, first + ROWS); row++) {
      let start = row * ROW_STRIDE;
      // Zeros are said: without, SwiftShader kept the sums of the row before (webgpu 0.6.2, November 2026).
      var sum = array<f32, TN>();
      // @unroll
      for (var i = 0u; i < BLOCKS; i++) {
        let t = k + i * 16u + lane * 4u;
        let a = vec4<f32>(x_term(start, t), x_term(start, t + 1u), x_term(start, t + 2u), x_term(start, t + 3u));
        let a0 = subgroupBroadcast(a, 0u);
        let a1 = subgroupBroadcast(a, 1u);
        let a2 = subgroupBroadcast(a, 2u);
        let a3 = subgroupBroadcast(a, 3u);
        // One update of a sum for 16 terms: a variable costs SwiftShader three times a multiply-add.
        // @unroll
        for (var n = 0u; n < TN; n++) {
          sum[n] += dot(a0, b[i * 4u * TN + n]) + dot(a1, b[(i * 4u + 1u) * TN + n]) +
            dot(a2, b[(i * 4u + 2u) * TN + n]) + dot(a3, b[(i * 4u + 3u) * TN + n]);
        }
      }
      let at = row * N + col;
      // @unroll
      for (var n = 0u; n < TN; n++) {
        // @if N_TAIL
        if (col + n < N) {
          y[at + n] = Y(select(0.0f, f32(y[at + n]), k > 0u) + sum[n]);
        }
        // @else
        y[at + n] = Y(select(0.0f, f32(y[at + n]), k > 0u) + sum[n]);
        // @end
      }
    }
  }
  // @if EPILOGUE
  // In loops of its own: SwiftShader computes both sides of an if, so that a last pass inside would cost it every pass.
  for (var row = first; row < min(M, first + ROWS); row++) {
    for (var n = col; n < min(N, col + TN); n++) {
      store(row, n, Y(epilogue(f32(y[row * N + n]), row, n)));
    }
  }
  // @end
}
