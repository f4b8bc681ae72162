// dx[r] = sum of dy[n] over all n whose row is r, one invocation an element of dx: no atomics, a fixed order.
// Grid: ceil(ROWS * COLS / 64) workgroups, folded into x and y.
// rows [N] u32; dy [N, COLS] of T; dx [ROWS, COLS] of T.
alias T = f32;
const ROWS: u32 = 1617u;
const COLS: u32 = 768u;
const N: u32 = 21u;

@group(0) @binding(0) var<storage, read> rows: array<u32>;
@group(0) @binding(1) var<storage, read> dy: array<T>;
@group(0) @binding(2) var<storage, read_write> dx: array<T>;

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
  let row = i / COLS;
  // Sums of sums of 32: a running f32 sum of a row that many gathered would lose digits.
  var total = 0.0f;
  for (var a = 0u; a < N; a += 32u) {
    var low = 0.0f;
    for (var n = a; n < min(a + 32u, N); n++) {
      if (min(rows[n], ROWS - 1u) == row) {
        low += f32(dy[n * COLS + i % COLS]);
      }
    }
    total += low;
  }
  dx[i] = T(total);
}
