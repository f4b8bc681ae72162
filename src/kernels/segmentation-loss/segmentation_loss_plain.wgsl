// Sums over PARTS parts of each image's pixels, one invocation a part, which takes every PARTS-th pixel: no barrier.
// Grid: ceil(B * PARTS / 64) workgroups, folded into x and y.
// p [B, N, 2]; masks [B, N]; weights [B]; sums [B, 6, PARTS] of focal, p1 t, p1, t, p0 (1 - t), p0; all f32.
const B: u32 = 16u;
const N: u32 = 57600u;
const PARTS: u32 = 225u;

@group(0) @binding(0) var<storage, read> p: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> masks: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

// @include FOCAL

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= B * PARTS) {
    return;
  }
  let image = i / PARTS;
  let part = i % PARTS;
  // An image of weight 0 may hold anything: it is not looked at.
  let count = select(N, 0u, weights[image] == 0.0f);
  var total = array<f32, 6>();
  for (var a = part; a < count; a += 32u * PARTS) {
    // Sums of sums of 32: a long running f32 sum would lose digits.
    var low = array<f32, 6>();
    for (var b = a; b < min(a + 32u * PARTS, count); b += PARTS) {
      let q = p[image * N + b];
      let t = masks[image * N + b];
      low[0] += focal_of(q, t > 0.5f);
      low[1] += q.y * t;
      low[2] += q.y;
      low[3] += t;
      low[4] += q.x * (1.0f - t);
      low[5] += q.x;
    }
    for (var k = 0u; k < 6u; k++) {
      total[k] += low[k];
    }
  }
  for (var k = 0u; k < 6u; k++) {
    sums[(image * 6u + k) * PARTS + part] = total[k];
  }
}
