// Gradient of one group's mean, one invocation an element of the group's rows; a dispatch for each group.
// Grid: ceil(ROWS * COLS / 64) workgroups, folded into x and y.
// dy [G, COLS] f32; dx [N, COLS] of T, of which ROWS rows from FIRST on are written.
alias T = f32;
const COLS: u32 = 768u;
const GROUP: u32 = 0u;
const FIRST: u32 = 0u;
const ROWS: u32 = 11u;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<T>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= ROWS * COLS) {
    return;
  }
  dx[FIRST * COLS + i] = T(dy[GROUP * COLS + i % COLS] / f32(ROWS));
}
