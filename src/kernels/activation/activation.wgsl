// y = activation(x), one invocation an element.
// Grid: ceil(COUNT / 64) workgroups, folded into x and y.
// x, y [COUNT] of T.
alias T = f32;
const COUNT: u32 = 1024u;

// @include activations

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;

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
  let v = f32(x[i]);
  // @if GELU
  y[i] = T(gelu(v));
  // @end
  // @if QUICK_GELU
  y[i] = T(quick_gelu(v));
  // @end
  // @if LEAKY_RELU
  y[i] = T(leaky_relu(v));
  // @end
}
