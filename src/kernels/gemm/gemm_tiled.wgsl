// GEMM through workgroup memory: a workgroup of 16 x 16 computes a 64 x 64 tile of y, 4 x 4 an invocation, K in slices of
// 16. What the vec4 loads run along must be a multiple of 4: K for x [M, K] and w [N, K], M for x [K, M] (X_KM), N for
// w [K, N] (W_KN). Rows, columns and slices past the end count as zero and are not stored.
// Grid: x = ceil(N / 64), y = ceil(M / 64).
// x [M, K] or [K, M] of X; w [N, K] or [K, N] of W; bias [N] f32; residual [M, N] of Y; y [M, N] of Y.
alias X = f32;
alias W = f32;
alias Y = f32;
const M: u32 = 290u;
const N: u32 = 1024u;
const K: u32 = 1024u;
const SIDE: u32 = 64u;
const SLICE: u32 = 16u;
// One more than SIDE, so that stores that transpose spread over the banks.
const STRIDE: u32 = 65u;

// @include activations

@group(0) @binding(0) var<storage, read> x: array<vec4<X>>;
@group(0) @binding(1) var<storage, read> w: array<vec4<W>>;
// @if BIAS
@group(0) @binding(2) var<storage, read> bias: array<f32>;
// @end
// @if RESIDUAL
@group(0) @binding(3) var<storage, read> residual: array<Y>;
// @end
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

var<workgroup> a_tile: array<f32, 1040>; // SLICE * STRIDE
var<workgroup> b_tile: array<f32, 1040>;

// @include gemm_epilogue

@compute @workgroup_size(16, 16)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row0 = group.y * SIDE;
  let col0 = group.x * SIDE;
  // Loading: invocation `local` brings 4 neighbours of each operand: along K, of row `line`; or, where K is the slow axis,
  // along the row, of term `term`.
  let line = local / 4u;
  let part = local % 4u;
  let term = local / 16u;
  let quad = local % 16u;
  var sum: array<f32, 16>;
  for (var slice = 0u; slice < K; slice += SLICE) {
    let k = slice + part * 4u;
    var a = vec4<f32>();
    var b = vec4<f32>();
    // @if X_KM
    if (slice + term < K && row0 + quad * 4u < M) {
      a = vec4<f32>(x[((slice + term) * M + row0) / 4u + quad]);
    }
    // @else
    if (k < K && row0 + line < M) {
      a = vec4<f32>(x[((row0 + line) * K + k) / 4u]);
    }
    // @end
    // @if W_KN
    if (slice + term < K && col0 + quad * 4u < N) {
      b = vec4<f32>(w[((slice + term) * N + col0) / 4u + quad]);
    }
    // @else
    if (k < K && col0 + line < N) {
      b = vec4<f32>(w[((col0 + line) * K + k) / 4u]);
    }
    // @end
    // @unroll
    for (var i = 0u; i < 4u; i++) {
      // @if X_KM
      a_tile[term * STRIDE + quad * 4u + i] = a[i];
      // @else
      a_tile[(part * 4u + i) * STRIDE + line] = a[i];
      // @end
      // @if W_KN
      b_tile[term * STRIDE + quad * 4u + i] = b[i];
      // @else
      b_tile[(part * 4u + i) * STRIDE + line] = b[i];
      // @end
    }
    workgroupBarrier();
    for (var s = 0u; s < SLICE; s++) {
      var b_line: array<f32, 4>;
      // @unroll
      for (var n = 0u; n < 4u; n++) {
        b_line[n] = b_tile[s * STRIDE + id.x * 4u + n];
      }
      // @unroll
      for (var m = 0u; m < 4u; m++) {
        let a_value = a_tile[s * STRIDE + id.y * 4u + m];
        // @unroll
        for (var n = 0u; n < 4u; n++) {
          sum[m * 4u + n] += a_value * b_line[n];
        }
      }
    }
    workgroupBarrier();
  }
  // @unroll
  for (var m = 0u; m < 4u; m++) {
    let row = row0 + id.y * 4u + m;
    // @unroll
    for (var n = 0u; n < 4u; n++) {
      let col = col0 + id.x * 4u + n;
      if (row < M && col < N) {
        y[row * N + col] = Y(epilogue(sum[m * 4u + n], row, col));
      }
    }
  }
}
