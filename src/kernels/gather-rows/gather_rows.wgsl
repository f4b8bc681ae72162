// y[n] = x[rows[n]], one invocation an element. A row past the end reads the last one: never out of bounds.
// Grid: ceil(N * COLS / 64) workgroups, folded into x and y.
// x [ROWS, COLS] of T; rows [N] u32; y [N, COLS] of T.
alias T = f32;
const COUNT: u32 = 16128u; // N * COLS
const ROWS: u32 = 1617u;
const COLS: u32 = 768u;

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= COUNT) {
    return;
  }
  y[i] = x[min(rows[i / COLS], ROWS - 1u) * COLS + i % COLS];
}
