// Gradient of LayerNorm by x, one workgroup of 128 a row; two tree sums of two parts each in workgroup memory.
// Grid: ROWS workgroups, folded into x and y.
// x, dy, addend, dx [ROWS, COLS] of T; weight [COLS] f32.
alias T = f32;
const ROWS: u32 = 290u;
const COLS: u32 = 1024u;
const EPS: f32 = 1e-5f;
const SIZE: u32 = 128u;

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<T>;
// @if ADDEND
@group(0) @binding(3) var<storage, read> addend: array<T>;
// @end
@group(0) @binding(4) var<storage, read_write> dx: array<T>;

// The first part in SIZE cells, then the second.
var<workgroup> partial: array<f32, 256>;

fn sum_all(first: f32, second: f32, local: u32) -> vec2<f32> {
  // The last reader of the previous sum must be done before it is overwritten.
  workgroupBarrier();
  partial[local] = first;
  partial[SIZE + local] = second;
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half = half / 2u) {
    if (local < half) {
      partial[local] += partial[local + half];
      partial[SIZE + local] += partial[SIZE + local + half];
    }
    workgroupBarrier();
  }
  return vec2<f32>(partial[0], partial[SIZE]);
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
  var x_sum = 0.0f;
  var g_sum = 0.0f;
  for (var c = local; c < COLS; c += SIZE) {
    x_sum += f32(x[start + c]);
    g_sum += f32(dy[start + c]) * weight[c];
  }
  let means = sum_all(x_sum, g_sum, local) / f32(COLS);
  let mean = means.x;
  var squares = 0.0f;
  var products = 0.0f;
  for (var c = local; c < COLS; c += SIZE) {
    let d = f32(x[start + c]) - mean;
    squares += d * d;
    products += f32(dy[start + c]) * weight[c] * d;
  }
  let spread = sum_all(squares, products, local) / f32(COLS);
  let scale = inverseSqrt(spread.x + EPS);
  let slope = spread.y * scale * scale;
  if (row < ROWS) {
    for (var c = local; c < COLS; c += SIZE) {
      let d = f32(x[start + c]) - mean;
      var v = scale * (f32(dy[start + c]) * weight[c] - means.y - d * slope);
      // @if ADDEND
      v += f32(addend[start + c]);
      // @end
      dx[start + c] = T(v);
    }
  }
}
