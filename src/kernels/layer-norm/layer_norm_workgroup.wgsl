// LayerNorm, one workgroup of 128 a row; two tree sums in workgroup memory.
// Grid: ROWS workgroups, folded into x and y.
// x, y [ROWS, COLS] of T; weight, bias [COLS] f32.
alias T = f32;
const ROWS: u32 = 290u;
const COLS: u32 = 1024u;
const EPS: f32 = 1e-5f;
const SIZE: u32 = 128u;

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;

var<workgroup> partial: array<f32, 128>;

fn sum_all(value: f32, local: u32) -> f32 {
  // The last reader of the previous sum must be done before it is overwritten.
  workgroupBarrier();
  partial[local] = value;
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half = half / 2u) {
    if (local < half) {
      partial[local] += partial[local + half];
    }
    workgroupBarrier();
  }
  return partial[0];
}

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = group.y * groups.x + group.x;
  // Rows past the end repeat the last one and store nothing, so that every barrier is reached by all.
  let start = min(row, ROWS - 1u) * COLS;
  var sum = 0.0f;
  for (var c = local; c < COLS; c += SIZE) {
    sum += f32(x[start + c]);
  }
  let mean = sum_all(sum, local) / f32(COLS);
  var squares = 0.0f;
  for (var c = local; c < COLS; c += SIZE) {
    let d = f32(x[start + c]) - mean;
    squares += d * d;
  }
  let scale = inverseSqrt(sum_all(squares, local) / f32(COLS) + EPS);
  if (row < ROWS) {
    for (var c = local; c < COLS; c += SIZE) {
      y[start + c] = T((f32(x[start + c]) - mean) * scale * weight[c] + bias[c]);
    }
  }
}
