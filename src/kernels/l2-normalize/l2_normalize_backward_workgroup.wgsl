// Gradient of L2 normalisation, one workgroup of 128 a row; a tree sum of two parts in workgroup memory.
// Grid: ROWS workgroups, folded into x and y.
// x, dy, dx [ROWS, COLS] of T.
alias T = f32;
const ROWS: u32 = 290u;
const COLS: u32 = 768u;
const EPS: f32 = 1e-12f;
const SIZE: u32 = 128u;

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> dy: array<T>;
@group(0) @binding(2) var<storage, read_write> dx: array<T>;

// Squares of x in SIZE cells, then products with dy.
var<workgroup> partial: array<f32, 256>;

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = group.y * groups.x + group.x;
  // Rows past the end repeat the last one and store nothing, so that every barrier is reached by all.
  let start = min(row, ROWS - 1u) * COLS;
  var squares = 0.0f;
  var product = 0.0f;
  for (var c = local; c < COLS; c += SIZE) {
    let v = f32(x[start + c]);
    squares += v * v;
    product += v * f32(dy[start + c]);
  }
  partial[local] = squares;
  partial[SIZE + local] = product;
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half = half / 2u) {
    if (local < half) {
      partial[local] += partial[local + half];
      partial[SIZE + local] += partial[SIZE + local + half];
    }
    workgroupBarrier();
  }
  let norm = sqrt(partial[0]);
  let length = max(norm, EPS);
  // A clamped length does not change with x.
  let along = select(0.0f, partial[SIZE] / length, norm > EPS);
  if (row < ROWS) {
    for (var c = local; c < COLS; c += SIZE) {
      dx[start + c] = T((f32(dy[start + c]) - f32(x[start + c]) / length * along) / length);
    }
  }
}
