// Gradient of softmax, one subgroup a row: the sum within the subgroup, so neither barrier nor workgroup memory. Subgroups must have
// LANES invocations, which are the whole workgroup.
// Grid: ROWS workgroups, folded into x and y.
// y, dy, dx [ROWS, COLS] of T.
enable subgroups;
alias T = f32;
const ROWS: u32 = 290u;
const COLS: u32 = 290u;
const LANES: u32 = 32u;

@group(0) @binding(0) var<storage, read> y: array<T>;
@group(0) @binding(1) var<storage, read> dy: array<T>;
@group(0) @binding(2) var<storage, read_write> dx: array<T>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = group.y * groups.x + group.x;
  // Rows past the end repeat the last one and store nothing, so that the sum is reached by all.
  let start = min(row, ROWS - 1u) * COLS;
  var own = 0.0f;
  for (var c = local; c < COLS; c += LANES) {
    own += f32(y[start + c]) * f32(dy[start + c]);
  }
  let sum = subgroupAdd(own);
  if (row < ROWS) {
    for (var c = local; c < COLS; c += LANES) {
      dx[start + c] = T(f32(y[start + c]) * (f32(dy[start + c]) - sum));
    }
  }
}
