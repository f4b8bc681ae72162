// From the largest dot products of PARTS shares of the bank to distances: 1 - max / |q|; one invocation a query row.
// Grid: ceil(QUERIES / 64) workgroups, folded into x and y.
// q [B, T, C] of Q, of whose T rows the first SKIP are left out; part [PARTS, QUERIES] f32; prev, y [B, T - SKIP] f32.
alias Q = f32;
const QUERIES: u32 = 289u; // B * KEPT
const KEPT: u32 = 289u; // T - SKIP
const SKIP: u32 = 1u;
const C: u32 = 768u;
const PARTS: u32 = 7u;
const EPS: f32 = 1e-8f;

@group(0) @binding(0) var<storage, read> q: array<Q>;
@group(0) @binding(1) var<storage, read> part: array<f32>;
// @if PREV
@group(0) @binding(2) var<storage, read> prev: array<f32>;
// @end
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let query = (group.y * groups.x + group.x) * 64u + local;
  if (query >= QUERIES) {
    return;
  }
  let start = ((query / KEPT) * (KEPT + SKIP) + SKIP + query % KEPT) * C;
  var squares = 0.0f;
  for (var c = 0u; c < C; c++) {
    let v = f32(q[start + c]);
    squares += v * v;
  }
  var largest = part[query];
  for (var p = 1u; p < PARTS; p++) {
    largest = max(largest, part[p * QUERIES + query]);
  }
  let distance = 1.0f - largest / max(sqrt(squares), EPS);
  // @if PREV
  y[query] = min(prev[query], distance);
  // @else
  y[query] = distance;
  // @end
}
