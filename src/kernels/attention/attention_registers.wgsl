// Attention, one invocation a query: query and output in registers as vec4, keys one by one. Chunks of 8 keys with one
// rescaling a chunk ran slower on SwiftShader (1.0 s for 0.9 s, 16 heads of 64) and took lavapipe 46 s to compile instead of
// 1 s at head size 32, 8.5 instead of 3 s at 64 (two busy cores, November 2026).
// No barrier. SIZE must be a multiple of 4.
// Grid: x = ceil(TOKENS / 32), y = HEADS, z = BATCH; invocations of a workgroup are queries of one head, so that they read
// the same keys.
// qkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; y [BATCH, TOKENS, HEADS, SIZE] of T; lse [BATCH, HEADS, TOKENS] f32.
alias T = f32;
const TOKENS: u32 = 290u;
const HEADS: u32 = 16u;
const QUADS: u32 = 16u; // SIZE / 4
const SCALE: f32 = 0.125f;
const CAUSAL: bool = false;

@group(0) @binding(0) var<storage, read> qkv: array<vec4<T>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<T>>;
// @if LSE
@group(0) @binding(2) var<storage, read_write> lse: array<f32>;
// @end

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let query = group.x * 32u + local;
  if (query >= TOKENS) {
    return;
  }
  let width = HEADS * QUADS;
  let first = group.z * TOKENS * 3u * width + group.y * QUADS;
  var q: array<vec4<f32>, QUADS>;
  var sum: array<vec4<f32>, QUADS>;
  // @unroll
  for (var c = 0u; c < QUADS; c++) {
    q[c] = SCALE * vec4<f32>(qkv[first + query * 3u * width + c]);
  }
  var peak = -3.0e38f;
  var total = 0.0f;
  // In a causal tower the whole workgroup runs to its last query, so that its key loads stay uniform.
  let keys = select(TOKENS, min(TOKENS, group.x * 32u + 32u), CAUSAL);
  let limit = select(TOKENS, query + 1u, CAUSAL);
  for (var key = 0u; key < keys; key++) {
    let k = first + key * 3u * width + width;
    var score = 0.0f;
    // @unroll
    for (var c = 0u; c < QUADS; c++) {
      score += dot(q[c], vec4<f32>(qkv[k + c]));
    }
    score = select(-3.0e38f, score, key < limit);
    let next = max(peak, score);
    let shrink = exp(peak - next);
    let weight = select(0.0f, exp(score - next), key < limit);
    peak = next;
    total = total * shrink + weight;
    // @unroll
    for (var c = 0u; c < QUADS; c++) {
      sum[c] = sum[c] * shrink + weight * vec4<f32>(qkv[k + width + c]);
    }
  }
  let out = (group.z * TOKENS + query) * width + group.y * QUADS;
  // @unroll
  for (var c = 0u; c < QUADS; c++) {
    y[out + c] = vec4<T>(sum[c] / total);
  }
  // @if LSE
  lse[(group.z * HEADS + group.y) * TOKENS + query] = peak + log(total);
  // @end
}
