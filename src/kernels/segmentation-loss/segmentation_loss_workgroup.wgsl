// Sums over PARTS parts of each image's pixels, one workgroup of 256 a part, which takes every PARTS-th block of 256 pixels;
// six trees in workgroup memory. The order is fixed, so results repeat bit by bit.
// Grid: B * PARTS workgroups, folded into x and y.
// p [B, N, 2]; masks [B, N]; weights [B]; sums [B, 6, PARTS] of focal, p1 t, p1, t, p0 (1 - t), p0; all f32.
const B: u32 = 16u;
const N: u32 = 57600u;
const PARTS: u32 = 29u;
const SIZE: u32 = 256u;

@group(0) @binding(0) var<storage, read> p: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> masks: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

// @include FOCAL

var<workgroup> partial: array<f32, 1536>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = group.y * groups.x + group.x;
  // Parts past the end repeat the last one and store nothing, so that every barrier is reached by all.
  let safe = min(i, B * PARTS - 1u);
  let image = safe / PARTS;
  let part = safe % PARTS;
  // An image of weight 0 may hold anything: it is not looked at.
  let count = select(N, 0u, weights[image] == 0.0f);
  var total = array<f32, 6>();
  // Eight pixels an invocation: short enough for a running sum.
  for (var b = part * SIZE + local; b < count; b += PARTS * SIZE) {
    let q = p[image * N + b];
    let t = masks[image * N + b];
    total[0] += focal_of(q, t > 0.5f);
    total[1] += q.y * t;
    total[2] += q.y;
    total[3] += t;
    total[4] += q.x * (1.0f - t);
    total[5] += q.x;
  }
  for (var k = 0u; k < 6u; k++) {
    partial[k * SIZE + local] = total[k];
  }
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half = half / 2u) {
    if (local < half) {
      for (var k = 0u; k < 6u; k++) {
        partial[k * SIZE + local] += partial[k * SIZE + local + half];
      }
    }
    workgroupBarrier();
  }
  if (local < 6u && i < B * PARTS) {
    sums[(image * 6u + local) * PARTS + part] = partial[local * SIZE];
  }
}
