// Copies vec4s: y = x. Each invocation copies PER of them, neighbours side by side.
// Grid: x * y >= LENGTH / (64 * PER), folded.
// x, y [LENGTH] vec4 of f32.
const LENGTH: u32 = 1024u;
const PER: u32 = 4u;

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let first = (group.y * groups.x + group.x) * 64u * PER + lane;
  // @unroll
  for (var p = 0u; p < PER; p++) {
    let i = first + p * 64u;
    if (i < LENGTH) {
      y[i] = x[i];
    }
  }
}
