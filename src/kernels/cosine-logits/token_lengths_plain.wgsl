// One over the length of each kept token, one invocation a token: no barrier.
// Grid: ceil(B * (N - SKIP) / 16) workgroups, folded into x and y.
// features [B, N, C] of T; inverse [B, N - SKIP] f32.
alias T = f32;
const TOKENS: u32 = 289u; // B * (N - SKIP)
const N: u32 = 290u;
const C: u32 = 768u;
const SKIP: u32 = 1u;
const EPS: f32 = 1e-12f;

@group(0) @binding(0) var<storage, read> features: array<T>;
@group(0) @binding(1) var<storage, read_write> inverse: array<f32>;

@compute @workgroup_size(16)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let token = (group.y * groups.x + group.x) * 16u + local;
  if (token >= TOKENS) {
    return;
  }
  let start = ((token / (N - SKIP)) * N + SKIP + token % (N - SKIP)) * C;
  var squares = 0.0f;
  for (var c = 0u; c < C; c++) {
    let v = f32(features[start + c]);
    squares += v * v;
  }
  inverse[token] = 1.0f / max(sqrt(squares), EPS);
}
