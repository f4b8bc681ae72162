// Softmax of rows, one workgroup of 128 a row; tree maximum and tree sum in workgroup memory.
// Grid: ROWS workgroups, folded into x and y.
// x, y [ROWS, COLS] of T.
alias T = f32;
const ROWS: u32 = 290u;
const COLS: u32 = 290u;
const SIZE: u32 = 128u;

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;

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
  // Invocations without an element repeat the first: it changes no maximum.
  var own = f32(x[start]);
  for (var c = local; c < COLS; c += SIZE) {
    own = max(own, f32(x[start + c]));
  }
  partial[local] = own;
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half = half / 2u) {
    if (local < half) {
      partial[local] = max(partial[local], partial[local + half]);
    }
    workgroupBarrier();
  }
  let largest = partial[0];
  // All must have read the maximum before it is overwritten.
  workgroupBarrier();
  own = 0.0f;
  for (var c = local; c < COLS; c += SIZE) {
    own += exp(f32(x[start + c]) - largest);
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
      y[start + c] = T(exp(f32(x[start + c]) - largest) / sum);
    }
  }
}
