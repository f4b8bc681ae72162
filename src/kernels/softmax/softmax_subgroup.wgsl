// Softmax of rows, one subgroup a row: maximum and sum within the subgroup, so neither barrier nor workgroup memory. Subgroups must have
// LANES invocations, which are the whole workgroup.
// Grid: ROWS workgroups, folded into x and y.
// x, y [ROWS, COLS] of T.
enable subgroups;
alias T = f32;
const ROWS: u32 = 290u;
const COLS: u32 = 290u;
const LANES: u32 = 32u;

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = group.y * groups.x + group.x;
  // Rows past the end repeat the last one and store nothing, so that maximum and sum are reached by all.
  let start = min(row, ROWS - 1u) * COLS;
  // Invocations without an element repeat the first: it changes no maximum.
  var own = f32(x[start]);
  for (var c = local; c < COLS; c += LANES) {
    own = max(own, f32(x[start + c]));
  }
  let largest = subgroupMax(own);
  own = 0.0f;
  for (var c = local; c < COLS; c += LANES) {
    own += exp(f32(x[start + c]) - largest);
  }
  let sum = subgroupAdd(own);
  if (row < ROWS) {
    for (var c = local; c < COLS; c += LANES) {
      y[start + c] = T(exp(f32(x[start + c]) - largest) / sum);
    }
  }
}
