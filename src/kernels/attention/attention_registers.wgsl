// Attention, one invocation a query: query and output in registers as vec4, keys in chunks of 8 with one rescaling a chunk.
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
  for (var chunk = 0u; chunk < keys; chunk += 8u) {
    var score: array<f32, 8>;
    var next = peak;
    for (var i = 0u; i < 8u; i++) {
      let k = first + min(chunk + i, TOKENS - 1u) * 3u * width + width;
      var s = 0.0f;
      // @unroll
      for (var c = 0u; c < QUADS; c++) {
        s += dot(q[c], vec4<f32>(qkv[k + c]));
      }
      score[i] = select(-3.0e38f, s, chunk + i < limit);
      next = max(next, score[i]);
    }
    let shrink = exp(peak - next);
    peak = next;
    total *= shrink;
    // @unroll
    for (var c = 0u; c < QUADS; c++) {
      sum[c] *= shrink;
    }
    for (var i = 0u; i < 8u; i++) {
      let v = first + min(chunk + i, TOKENS - 1u) * 3u * width + 2u * width;
      let weight = select(0.0f, exp(score[i] - peak), chunk + i < limit);
      total += weight;
      // @unroll
      for (var c = 0u; c < QUADS; c++) {
        sum[c] += weight * vec4<f32>(qkv[v + c]);
      }
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
