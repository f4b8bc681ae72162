// Gradient of softmax, one workgroup of 128 a row; a tree sum in workgroup memory.
// Grid: ROWS workgroups, folded into x and y.
// y, dy, dx [ROWS, COLS] of T.
alias T = f32;
const ROWS: u32 = 290u;
const COLS: u32 = 290u;
const SIZE: u32 = 128u;

@group(0) @binding(0) var<storage, read> y: array<T>;
@group(0) @binding(1) var<storage, read> dy: array<T>;
@group(0) @binding(2) var<storage, read_write> dx: array<T>;

var<workgroup> partial: array<f32, 128>;

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = group.y * groups.x + group.x;
  // Rows past the end repeat the last one and store nothing, so that every barrier is reached by all.
  let start = min(row, ROWS - 1u) * COLS;
  var own = 0.0f;
  for (var c = local; c < COLS; c += SIZE) {
    own += f32(y[start + c]) * f32(dy[start + c]);
  }
  partial[local] = own;
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half = half / 2u) {
    if (local < half) {
      partial[local] += partial[local + half];
    }
    workgroupBarrier();
  }
  let sum = partial[0];
  if (row < ROWS) {
    for (var c = local; c < COLS; c += SIZE) {
      dx[start + c] = T(f32(y[start + c]) * (f32(dy[start + c]) - sum));
    }
  }
}
