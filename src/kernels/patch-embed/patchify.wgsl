// Cuts images into patches, one invocation an element of y.
// Grid: ceil(B * G * G * 3 * P * P / 64) workgroups, folded into x and y.
// images [B, 3, S, S] f32; y [B, G * G, 3 * P * P] of T, an element's order (channel, y, x).
alias T = f32;
const COUNT: u32 = 169932u; // B * G * G * 3 * P * P
const S: u32 = 240u;
const P: u32 = 14u;
const G: u32 = 17u;

@group(0) @binding(0) var<storage, read> images: array<f32>;
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
  let px = i % P;
  let py = (i / P) % P;
  let channel = (i / (P * P)) % 3u;
  let patch_index = i / (3u * P * P);
  let gx = patch_index % G;
  let gy = (patch_index / G) % G;
  let image = patch_index / (G * G);
  y[i] = T(images[((image * 3u + channel) * S + gy * P + py) * S + gx * P + px]);
}
