// Gradient of LayerNorm by x, one invocation a row: no barrier, so it suits adapters that compute on a CPU.
// Grid: ceil(ROWS / 16) workgroups, folded into x and y.
// x, dy, addend, dx [ROWS, COLS] of T; weight [COLS] f32.
alias T = f32;
const ROWS: u32 = 290u;
const COLS: u32 = 1024u;
const EPS: f32 = 1e-5f;

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<T>;
// @if ADDEND
@group(0) @binding(3) var<storage, read> addend: array<T>;
// @end
@group(0) @binding(4) var<storage, read_write> dx: array<T>;

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
  var x_sum = 0.0f;
  var g_sum = 0.0f;
  for (var c = 0u; c < COLS; c++) {
    x_sum += f32(x[start + c]);
    g_sum += f32(dy[start + c]) * weight[c];
  }
  let mean = x_sum / f32(COLS);
  var squares = 0.0f;
  var products = 0.0f;
  for (var c = 0u; c < COLS; c++) {
    let d = f32(x[start + c]) - mean;
    squares += d * d;
    products += f32(dy[start + c]) * weight[c] * d;
  }
  let scale = inverseSqrt(squares / f32(COLS) + EPS);
  let g_mean = g_sum / f32(COLS);
  let slope = products / f32(COLS) * scale * scale;
  for (var c = 0u; c < COLS; c++) {
    let d = f32(x[start + c]) - mean;
    var v = scale * (f32(dy[start + c]) * weight[c] - g_mean - d * slope);
    // @if ADDEND
    v += f32(addend[start + c]);
    // @end
    dx[start + c] = T(v);
  }
}
