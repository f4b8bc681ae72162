// Sums of 32 tokens' shares of the gradient by the text rows; one invocation a (block of tokens, text row, column).
// Grid: ceil(BLOCKS * K * C / 64) workgroups, folded into x and y.
// features [B, N, C] of T; dy [TOKENS, K] f32; inverse [TOKENS] f32, one over each token's length; parts [BLOCKS, K, C] f32.
alias T = f32;
const TOKENS: u32 = 289u; // B * (N - SKIP)
const BLOCKS: u32 = 10u; // ceil(TOKENS / 32)
const N: u32 = 290u;
const C: u32 = 768u;
const K: u32 = 2u;
const SKIP: u32 = 1u;
const SCALE: f32 = 100.0f;

@group(0) @binding(0) var<storage, read> features: array<T>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> inverse: array<f32>;
@group(0) @binding(3) var<storage, read_write> parts: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= BLOCKS * K * C) {
    return;
  }
  let c = i % C;
  let k = (i / C) % K;
  let first = i / (C * K) * 32u;
  var sum = 0.0f;
  for (var token = first; token < min(first + 32u, TOKENS); token++) {
    let row = (token / (N - SKIP)) * N + SKIP + token % (N - SKIP);
    sum += dy[token * K + k] * (f32(features[row * C + c]) * inverse[token]);
  }
  parts[i] = SCALE * sum;
}
