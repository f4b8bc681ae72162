// Gradient of softmax, one invocation a row: no barrier.
// Grid: ceil(ROWS / 16) workgroups, folded into x and y.
// y, dy, dx [ROWS, COLS] of T.
alias T = f32;
const ROWS: u32 = 57600u;
const COLS: u32 = 2u;

@group(0) @binding(0) var<storage, read> y: array<T>;
@group(0) @binding(1) var<storage, read> dy: array<T>;
@group(0) @binding(2) var<storage, read_write> dx: array<T>;

@compute @workgroup_size(16)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = (group.y * groups.x + group.x) * 16u + local;
  if (row >= ROWS) {
    return;
  }
  let start = row * COLS;
  var sum = 0.0f;
  for (var c = 0u; c < COLS; c++) {
    sum += f32(y[start + c]) * f32(dy[start + c]);
  }
  for (var c = 0u; c < COLS; c++) {
    dx[start + c] = T(f32(y[start + c]) * (f32(dy[start + c]) - sum));
  }
}
