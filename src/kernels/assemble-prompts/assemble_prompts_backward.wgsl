// Gradient of learned context vectors: places 1..M of COUNT / (M * W) prompts of dy; one invocation an element.
// Grid: ceil(COUNT / 64) workgroups, folded into x and y.
// dy [P, L, W] of T; d_context [prompts, M, W] f32.
alias T = f32;
const COUNT: u32 = 61440u; // prompts * M * W
const L: u32 = 77u;
const W: u32 = 768u;
const M: u32 = 8u;
const FIRST: u32 = 0u; // the first prompt

@group(0) @binding(0) var<storage, read> dy: array<T>;
@group(0) @binding(1) var<storage, read_write> d_context: array<f32>;

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
  let place = 1u + (i / W) % M;
  let prompt = FIRST + i / (W * M);
  d_context[i] = f32(dy[(prompt * L + place) * W + i % W]);
}
