// Gradient of a sum or mean over one axis, one invocation an element of dx.
// Grid: ceil(OUTER * AXIS * INNER / 64) workgroups, folded into x and y.
// dy [OUTER, INNER] f32; dx [OUTER, AXIS, INNER] of T.
alias T = f32;
const OUTER: u32 = 1u;
const AXIS: u32 = 289u;
const INNER: u32 = 2u;
const DIVISOR: f32 = 289.0f; // AXIS for means, 1 for sums

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<T>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= OUTER * AXIS * INNER) {
    return;
  }
  dx[i] = T(dy[i / (AXIS * INNER) * INNER + i % INNER] / DIVISOR);
}
