// y = GAMMA x + ALPHA a + BETA b, one invocation an element.
// Grid: ceil(COUNT / 64) workgroups, folded into x and y.
// x, a, b, y [COUNT] of T.
alias T = f32;
const COUNT: u32 = 296960u;
const GAMMA: f32 = 0.8f;
const ALPHA: f32 = 0.1f;
const BETA: f32 = 0.1f;

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> a: array<T>;
@group(0) @binding(2) var<storage, read> b: array<T>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;

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
  y[i] = T(GAMMA * f32(x[i]) + ALPHA * f32(a[i]) + BETA * f32(b[i]));
}
