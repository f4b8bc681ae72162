// Gradient of a bilinear resize along one axis; one invocation an element of dx, which sums the outputs whose taps touch it.
// Grid: ceil(COUNT / 64) workgroups, folded into x and y.
// dy [OUTER, SIZE_OUT, INNER] f32; dx [OUTER, SIZE_IN, INNER] f32.
const COUNT: u32 = 8160u; // OUTER * SIZE_IN * INNER
const SIZE_IN: u32 = 17u;
const SIZE_OUT: u32 = 240u;
const INNER: u32 = 2u;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;

// @include tap

// The first output whose source is at or past `cell`.
fn first_at(cell: u32) -> u32 {
  let steps = max(SIZE_OUT, 2u) - 1u;
  let cells = max(SIZE_IN, 2u) - 1u;
  return (cell * steps + cells - 1u) / cells;
}

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
  let cell = (i / INNER) % SIZE_IN;
  let start = (i / (INNER * SIZE_IN)) * SIZE_OUT * INNER + i % INNER;
  // Sources from cell - 1 to before cell + 1 touch the cell. A single cell takes every output.
  let first = first_at(max(cell, 1u) - 1u);
  let end = select(min(first_at(cell + 1u), SIZE_OUT), SIZE_OUT, SIZE_IN == 1u);
  // Sums of 32 sums of 32: a running f32 sum of many outputs would lose digits.
  var total = 0.0f;
  for (var a = first; a < end; a += 1024u) {
    var middle = 0.0f;
    for (var b = a; b < min(a + 1024u, end); b += 32u) {
      var low = 0.0f;
      for (var c = b; c < min(b + 32u, end); c++) {
        let t = tap(c, SIZE_IN, SIZE_OUT);
        let share = select(0.0f, 1.0f - t.share, t.low == cell) + select(0.0f, t.share, t.high == cell);
        low += share * dy[start + c * INNER];
      }
      middle += low;
    }
    total += middle;
  }
  dx[i] = total;
}
