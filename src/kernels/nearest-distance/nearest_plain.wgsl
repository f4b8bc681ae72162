// Largest dot product of each query row with the bank rows of a strip; one invocation a query row and strip.
// Grid: ceil(QUERIES * STRIPS / 64) workgroups, folded into x and y.
// q [B, T, C] of Q, of whose T rows the first SKIP are left out; bank [R, C] of B; part [STRIPS, QUERIES] f32.
alias Q = f32;
alias B = f32;
const QUERIES: u32 = 289u; // B * KEPT
const KEPT: u32 = 289u; // T - SKIP
const SKIP: u32 = 1u;
const R: u32 = 3190u;
const C: u32 = 768u;
const STRIPS: u32 = 7u;
const STRIP: u32 = 512u; // bank rows
const LOWEST: f32 = -3.4028234e38f;

@group(0) @binding(0) var<storage, read> q: array<Q>;
@group(0) @binding(1) var<storage, read> bank: array<B>;
@group(0) @binding(2) var<storage, read_write> part: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= QUERIES * STRIPS) {
    return;
  }
  let query = index % QUERIES;
  let strip = index / QUERIES;
  let start = ((query / KEPT) * (KEPT + SKIP) + SKIP + query % KEPT) * C;
  var largest = LOWEST;
  for (var r = strip * STRIP; r < min((strip + 1u) * STRIP, R); r++) {
    var sum = 0.0f;
    for (var c = 0u; c < C; c++) {
      sum += f32(q[start + c]) * f32(bank[r * C + c]);
    }
    largest = max(largest, sum);
  }
  part[index] = largest;
}
