// LayerNorm, one invocation a row: no barrier, so it suits adapters that compute on a CPU.
// Grid: ceil(ROWS / 16) workgroups, folded into x and y.
// x, y [ROWS, COLS] of T; weight, bias [COLS] f32.
alias T = f32;
const ROWS: u32 = 290u;
const COLS: u32 = 1024u;
const EPS: f32 = 1e-5f;

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;

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
    sum += f32(x[start + c]);
  }
  let mean = sum / f32(COLS);
  var squares = 0.0f;
  for (var c = 0u; c < COLS; c++) {
    let d = f32(x[start + c]) - mean;
    squares += d * d;
  }
  let scale = inverseSqrt(squares / f32(COLS) + EPS);
  for (var c = 0u; c < COLS; c++) {
    y[start + c] = T((f32(x[start + c]) - mean) * scale * weight[c] + bias[c]);
  }
}
