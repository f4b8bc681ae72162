// Scaled cosines of tokens with text rows, one invocation a result: no barrier.
// Grid: ceil(B * (N - SKIP) * K / 64) workgroups, folded into x and y.
// features [B, N, C] of T; text [K, C] f32; y [B, N - SKIP, K] f32.
alias T = f32;
const COUNT: u32 = 578u; // B * (N - SKIP) * K
const N: u32 = 290u;
const C: u32 = 768u;
const K: u32 = 2u;
const SKIP: u32 = 1u;
const SCALE: f32 = 100.0f;
const EPS: f32 = 1e-12f;

@group(0) @binding(0) var<storage, read> features: array<T>;
@group(0) @binding(1) var<storage, read> text: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

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
  let token = i / K;
  let feature_start = ((token / (N - SKIP)) * N + SKIP + token % (N - SKIP)) * C;
  let text_start = (i % K) * C;
  var squares = 0.0f;
  var product = 0.0f;
  for (var c = 0u; c < C; c++) {
    let v = f32(features[feature_start + c]);
    squares += v * v;
    product += v * text[text_start + c];
  }
  y[i] = SCALE * (product / max(sqrt(squares), EPS));
}
