// Two binary16 numbers a word, widened: exact. One invocation a word.
// Grid: one invocation for each word of x, 64 in a workgroup, folded into x and y; as many as y's binding has room for do something.
// x [N] u32, two numbers each, the first in the low half; y [N] vec2<u32>, the bits of two f32.

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec2<u32>>;

// In whole numbers, for floats that are subnormal may become 0, and nothing is promised of infinity and NaN.
fn widened(half: u32) -> u32 {
  let magnitude = half & 0x7fffu;
  var bits = (magnitude << 13u) + 0x38000000u; // the exponent's bias is 127 instead of 15
  if (magnitude >= 0x7c00u) {
    bits += 0x38000000u; // infinity and NaN
  } else if (magnitude < 0x0400u) {
    bits = bitcast<u32>(f32(magnitude) * 0x1p-24f); // zero and subnormal, which f32 has as normal numbers
  }
  return ((half & 0x8000u) << 16u) | bits;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= arrayLength(&y)) {
    return;
  }
  y[i] = vec2<u32>(widened(x[i] & 0xffffu), widened(x[i] >> 16u));
}
