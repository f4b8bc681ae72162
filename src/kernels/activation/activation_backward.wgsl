// dx = activation'(z) dy, one invocation an element.
// Grid: ceil(COUNT / 64) workgroups, folded into x and y.
// dy, z, dx [COUNT] of T.
alias T = f32;
const COUNT: u32 = 1024u;

// @include activations
// @include activation_gradients

@group(0) @binding(0) var<storage, read> dy: array<T>;
@group(0) @binding(1) var<storage, read> z: array<T>;
@group(0) @binding(2) var<storage, read_write> dx: array<T>;

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
  let v = f32(z[i]);
  // @if GELU
  let slope = gelu_gradient(v);
  // @end
  // @if QUICK_GELU
  let slope = quick_gelu_gradient(v);
  // @end
  // @if LEAKY_RELU
  let slope = leaky_relu_gradient(v);
  // @end
  dx[i] = T(slope * f32(dy[i]));
}
