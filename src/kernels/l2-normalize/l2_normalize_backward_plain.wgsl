// Gradient of L2 normalisation, one invocation a row: no barrier.
// Grid: ceil(ROWS / 16) workgroups, folded into x and y.
// x, dy, dx [ROWS, COLS] of T.
alias T = f32;
const ROWS: u32 = 290u;
const COLS: u32 = 768u;
const EPS: f32 = 1e-12f;

@group(0) @binding(0) var<storage, read> x: array<T>;
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
  var squares = 0.0f;
  var product = 0.0f;
  for (var c = 0u; c < COLS; c++) {
    let v = f32(x[start + c]);
    squares += v * v;
    product += v * f32(dy[start + c]);
  }
  let norm = sqrt(squares);
  let length = max(norm, EPS);
  // A clamped length does not change with x.
  let along = select(0.0f, product / length, norm > EPS);
  for (var c = 0u; c < COLS; c++) {
    dx[start + c] = T((f32(dy[start + c]) - f32(x[start + c]) / length * along) / length);
  }
}
