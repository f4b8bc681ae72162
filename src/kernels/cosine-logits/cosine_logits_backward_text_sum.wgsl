// Sum of the blocks' parts, one invocation an element of d_text.
// Grid: ceil(COUNT / 64) workgroups, folded into x and y.
// parts [BLOCKS, COUNT] f32; d_text [COUNT] f32.
const COUNT: u32 = 1536u; // K * C
const BLOCKS: u32 = 10u;

@group(0) @binding(0) var<storage, read> parts: array<f32>;
@group(0) @binding(1) var<storage, read_write> d_text: array<f32>;

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
  // Sums of sums of 32: a running f32 sum of many blocks would lose digits.
  var total = 0.0f;
  for (var a = 0u; a < BLOCKS; a += 32u) {
    var low = 0.0f;
    for (var b = a; b < min(a + 32u, BLOCKS); b++) {
      low += parts[b * COUNT + i];
    }
    total += low;
  }
  d_text[i] = total;
}
