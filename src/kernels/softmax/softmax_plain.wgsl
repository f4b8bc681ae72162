// Softmax of rows, one invocation a row: no barrier.
// Grid: ceil(ROWS / 16) workgroups, folded into x and y.
// x, y [ROWS, COLS] of T.
alias T = f32;
const ROWS: u32 = 57600u;
const COLS: u32 = 2u;

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;

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
  var largest = f32(x[start]);
  for (var c = 1u; c < COLS; c++) {
    largest = max(largest, f32(x[start + c]));
  }
  var sum = 0.0f;
  for (var c = 0u; c < COLS; c++) {
    sum += exp(f32(x[start + c]) - largest);
  }
  for (var c = 0u; c < COLS; c++) {
    y[start + c] = T(exp(f32(x[start + c]) - largest) / sum);
  }
}
