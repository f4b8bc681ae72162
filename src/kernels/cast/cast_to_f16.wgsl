// f32 rounded to the nearest binary16 (ties to even; overflow gives infinity), two numbers a word. One invocation a word.
// Grid: one invocation for each word of y, 64 in a workgroup, folded into x and y; as many as y's binding has room for do something.
// x [N] vec2<u32>, the bits of two f32; y [N] u32, two numbers each, the first in the low half.

@group(0) @binding(0) var<storage, read> x: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;

// In whole numbers: pack2x16float may round as the device likes, and subnormal numbers may become 0.
fn rounded(bits: u32) -> u32 {
  let magnitude = bits & 0x7fffffffu;
  var half: u32;
  if (magnitude >= 0x477ff000u) {
    half = select(0x7c00u, 0x7e00u, magnitude > 0x7f800000u); // 65520 and above, NaN
  } else if (magnitude >= 0x38800000u) {
    half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13u) & 1u)) >> 13u;
  } else {
    // Subnormal: whole multiples of 2^-24. From 2^-26 down all become 0.
    let shift = min(126u - (magnitude >> 23u), 31u);
    let digits = (magnitude & 0x7fffffu) | 0x800000u;
    half = (digits + (1u << (shift - 1u)) - 1u + ((digits >> shift) & 1u)) >> shift;
  }
  return ((bits >> 16u) & 0x8000u) | half;
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
  y[i] = rounded(x[i].x) | (rounded(x[i].y) << 16u);
}
