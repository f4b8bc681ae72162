// Second half of a GEMM whose K was split: one invocation an element of y adds up the parts in order, then bias, activation, residual.
// Grid: ceil(M * N / 64) workgroups, folded into x and y.
// partial [SPLITS, M, N] f32; bias [N] f32; residual, y [M, N] of Y.
alias Y = f32;
const M: u32 = 290u;
const N: u32 = 1024u;
const SPLITS: u32 = 4u;

// @include activations

@group(0) @binding(0) var<storage, read> partial: array<f32>;
// @if BIAS
@group(0) @binding(1) var<storage, read> bias: array<f32>;
// @end
// @if RESIDUAL
@group(0) @binding(2) var<storage, read> residual: array<Y>;
// @end
@group(0) @binding(3) var<storage, read_write> y: array<Y>;

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
  var sum = partial[index];
  for (var s = 1u; s < SPLITS; s++) {
    sum += partial[s * M * N + index];
  }
  let row = index / N;
  let col = index % N;
  store(row, col, Y(epilogue(sum, row, col)));
}
