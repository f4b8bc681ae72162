// Each image's sums from its parts, one invocation a sum.
// Grid: ceil(COUNT / 64) workgroups, folded into x and y.
// sums [COUNT, PARTS] f32; totals [COUNT] f32.
const COUNT: u32 = 96u; // six an image
const PARTS: u32 = 225u;

@group(0) @binding(0) var<storage, read> sums: array<f32>;
@group(0) @binding(1) var<storage, read_write> totals: array<f32>;

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
  var total = 0.0f;
  for (var a = 0u; a < PARTS; a += 32u) {
    var low = 0.0f;
    for (var b = a; b < min(a + 32u, PARTS); b++) {
      low += sums[i * PARTS + b];
    }
    total += low;
  }
  totals[i] = total;
}
