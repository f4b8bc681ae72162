// GEMM from registers and subgroups: each invocation computes TM x TN elements of y. A subgroup's invocations are neighbours
// along N and share TM rows of x: each loads another term k of a row, and broadcasts hand it to all. On adapters that compute on
// a CPU every load is a gather, worth some 20 multiply-adds, and a broadcast worth next to nothing. Not measured on GPUs.
// What w is read along must be a multiple of 4: K for [N, K], N for [K, N] (W_KN). (Read one by one, w takes twice the time.)
// Rows, columns and terms (K_TAIL) past the end are read clamped; such terms count as zero, the rest is not stored.
// Subgroups must have LANES invocations. Grid: x = ceil(N / (TN * LANES)), y = ceil(M / TM).
// x [M, K] or [K, M] of X; w [N, K] or [K, N] of W; bias [N] f32; residual [M, N] of Y; y [M, N] of Y.
enable subgroups;
alias X = f32;
alias W = f32;
alias Y = f32;
const M: u32 = 290u;
const N: u32 = 1024u;
const K: u32 = 1024u;
const TM: u32 = 16u;
const TN: u32 = 4u;
const QN: u32 = 1u; // TN / 4
const TILE: u32 = 64u; // TM * TN
const LANES: u32 = 8u; // a multiple of 4
const QL: u32 = 2u; // LANES / 4
// x[m, k] is at m * ROW_STRIDE + k * X_STRIDE: (K, 1) for [M, K], (1, M) for [K, M].
const ROW_STRIDE: u32 = 1024u;
const X_STRIDE: u32 = 1u;

// @include activations

@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> w: array<vec4<W>>;
// @if BIAS
@group(0) @binding(2) var<storage, read> bias: array<f32>;
// @end
// @if RESIDUAL
@group(0) @binding(3) var<storage, read> residual: array<Y>;
// @end
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

// @include gemm_epilogue

// @include gemm_store

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let row = group.y * TM;
  let col = (group.x * LANES + local) * TN;
  var a_start: array<u32, TM>;
  // @unroll
  for (var m = 0u; m < TM; m++) {
    a_start[m] = min(row + m, M - 1u) * ROW_STRIDE;
  }
  // @if W_KN
  var b_start: array<u32, QN>;
  // @unroll
  for (var q = 0u; q < QN; q++) {
    b_start[q] = min(col / 4u + q, N / 4u - 1u);
  }
  // @else
  var b_start: array<u32, TN>;
  // @unroll
  for (var n = 0u; n < TN; n++) {
    b_start[n] = min(col + n, N - 1u) * (K / 4u);
  }
  // @end
  var sum: array<f32, TILE>;
  for (var k = 0u; k < K; k += LANES) {
    var a = array<f32, TM>();
    // @unroll
    for (var m = 0u; m < TM; m++) {
      // @if K_TAIL
      a[m] = select(0.0f, f32(x[a_start[m] + min(k + lane, K - 1u) * X_STRIDE]), k + lane < K);
      // @else
      a[m] = f32(x[a_start[m] + (k + lane) * X_STRIDE]);
      // @end
    }
    // @unroll
    for (var j = 0u; j < QL; j++) {
      // b: of [N, K] four terms of a column, of [K, N] four columns of a term.
      var b = array<vec4<f32>, TN>();
      // @if W_KN
      // @unroll
      for (var i = 0u; i < 4u; i++) {
        // @if K_TAIL
        let line = min(k + j * 4u + i, K - 1u) * (N / 4u);
        // @else
        let line = (k + j * 4u + i) * (N / 4u);
        // @end
        // @unroll
        for (var q = 0u; q < QN; q++) {
          b[i * QN + q] = vec4<f32>(w[line + b_start[q]]);
        }
      }
      // @else
      // @if K_TAIL
      let term = min(k / 4u + j, K / 4u - 1u);
      // @else
      let term = k / 4u + j;
      // @end
      // @unroll
      for (var n = 0u; n < TN; n++) {
        b[n] = vec4<f32>(w[b_start[n] + term]);
      }
      // @end
      // @unroll
      for (var m = 0u; m < TM; m++) {
        let terms = vec4<f32>(
          subgroupBroadcast(a[m], j * 4u),
          subgroupBroadcast(a[m], j * 4u + 1u),
          subgroupBroadcast(a[m], j * 4u + 2u),
          subgroupBroadcast(a[m], j * 4u + 3u),
        );
        // @if W_KN
        // @unroll
        for (var q = 0u; q < QN; q++) {
          let sums = terms[0] * b[q] + terms[1] * b[QN + q] + terms[2] * b[2u * QN + q] + terms[3] * b[3u * QN + q];
          // @unroll
          for (var n = 0u; n < 4u; n++) {
            sum[m * TN + q * 4u + n] += sums[n];
          }
        }
        // @else
        // @unroll
        for (var n = 0u; n < TN; n++) {
          sum[m * TN + n] += dot(terms, b[n]);
        }
        // @end
      }
    }
  }
  for (var m = 0u; m < TM; m++) {
    if (row + m < M) {
      for (var n = 0u; n < TN; n++) {
        if (col + n < N) {
          store(row + m, col + n, Y(epilogue(sum[m * TN + n], row + m, col + n)));
        }
      }
    }
  }
}
