// GEMM, one invocation an element of y: the plain statement, for any size and all layouts.
// Grid: ceil(M * N / 64) workgroups, folded into x and y.
// x [M, K] or [K, M] of X; w [N, K] or [K, N] of W; bias [N] f32; residual [M, N] of Y; y [M, N] of Y.
alias X = f32;
alias W = f32;
alias Y = f32;
const M: u32 = 290u;
const N: u32 = 1024u;
const K: u32 = 1024u;
// x[m, k] is at m * ROW_STRIDE + k * X_STRIDE: (K, 1) for [M, K], (1, M) for [K, M].
const ROW_STRIDE: u32 = 1024u;
const X_STRIDE: u32 = 1u;
// w[n, k] is at n * COL_STRIDE + k * K_STRIDE: (K, 1) for [N, K], (1, N) for [K, N].
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

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= M * N) {
    return;
  }
  let row = index / N;
  let col = index % N;
  var sum = 0.0f;
  for (var k = 0u; k < K; k++) {
    sum += f32(x[row * ROW_STRIDE + k * X_STRIDE]) * f32(w[col * COL_STRIDE + k * K_STRIDE]);
  }
  store(row, col, Y(epilogue(sum, row, col)));
}
