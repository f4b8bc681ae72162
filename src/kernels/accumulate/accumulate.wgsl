// acc = keep acc + factor gradient, one invocation four elements.
// Grid: ceil(COUNT / 64) workgroups, folded into x and y.
// acc, gradient [4 COUNT]; hyper [2] = (keep, factor); all f32.
const COUNT: u32 = 196608u; // groups of four; the last may be padded

@group(0) @binding(0) var<storage, read_write> acc: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> hyper: array<f32>;

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
  var sum = hyper[1] * gradient[i];
  if (hyper[0] != 0.0f) {
    sum += hyper[0] * acc[i];
  }
  acc[i] = sum;
}
