// Prompt token embeddings with learned context in places 1..M, position embeddings added; one invocation an element of y.
// Grid: ceil(P * L * W / 64) workgroups, folded into x and y.
// tokens [P, L, W] f32; context [SPLIT, M, W] f32; context_rest [P - SPLIT, M, W] f32; position [L, W] f32; y [P, L, W] of T.
alias T = f32;
const COUNT: u32 = 1241856u; // P * L * W
const L: u32 = 77u;
const W: u32 = 768u;
const M: u32 = 8u;
const SPLIT: u32 = 10u; // prompts of the first context

@group(0) @binding(0) var<storage, read> tokens: array<f32>;
@group(0) @binding(1) var<storage, read> position: array<f32>;
// @if CONTEXT
@group(0) @binding(2) var<storage, read> context: array<f32>;
// @end
// @if REST
@group(0) @binding(3) var<storage, read> context_rest: array<f32>;
// @end
@group(0) @binding(4) var<storage, read_write> y: array<T>;

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
  let place = (i / W) % L;
  var v = tokens[i];
  // @if CONTEXT
  if (place >= 1u && place <= M) {
    let prompt = i / (W * L);
    let vector = place - 1u;
    // @if REST
    if (prompt < SPLIT) {
      v = context[(prompt * M + vector) * W + i % W];
    } else {
      v = context_rest[((prompt - SPLIT) * M + vector) * W + i % W];
    }
    // @else
    v = context[(prompt * M + vector) * W + i % W];
    // @end
  }
  // @end
  y[i] = T(v + position[place * W + i % W]);
}
