// Mean of one group's rows, one invocation a column; a dispatch for each group.
// Grid: ceil(COLS / 64) workgroups, folded into x and y.
// x [N, COLS] of T, the group's rows from FIRST on; y [G, COLS] f32, of which row GROUP is written.
alias T = f32;
const COLS: u32 = 768u;
const GROUP: u32 = 0u;
const FIRST: u32 = 0u;
const ROWS: u32 = 11u;

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let c = (group.y * groups.x + group.x) * 64u + local;
  if (c >= COLS) {
    return;
  }
  // Sums of sums of 32: a running f32 sum of many rows would lose digits.
  var total = 0.0f;
  for (var a = 0u; a < ROWS; a += 32u) {
    var low = 0.0f;
    for (var b = a; b < min(a + 32u, ROWS); b++) {
      low += f32(x[(FIRST + b) * COLS + c]);
    }
    total += low;
  }
  y[GROUP * COLS + c] = total / f32(ROWS);
}
