// Class token before patch tokens, position embeddings added; one invocation an element of y.
// Grid: ceil(B * (1 + P) * D / 64) workgroups, folded into x and y.
// patches [B, P, D] of T; class_embedding [D] f32; position [1 + P, D] f32; y [B, 1 + P, D] of T.
alias T = f32;
const COUNT: u32 = 296960u; // B * (1 + P) * D
const P: u32 = 289u;
const D: u32 = 1024u;

@group(0) @binding(0) var<storage, read> patches: array<T>;
@group(0) @binding(1) var<storage, read> class_embedding: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;

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
  let d = i % D;
  let token = (i / D) % (1u + P);
  let image = i / (D * (1u + P));
  var v = position[token * D + d];
  if (token == 0u) {
    v += class_embedding[d];
  } else {
    v += f32(patches[(image * P + token - 1u) * D + d]);
  }
  y[i] = T(v);
}
