// Attention as in `registers`, but keys and values are loaded by subgroups: each invocation loads another vec4 of a key, and
// broadcasts hand it to all. On adapters that compute on a CPU every load is a gather, also of one address. No barrier.
// Subgroups must have LANES invocations; SIZE must be a multiple of 4 LANES.
// Grid: x = ceil(TOKENS / 32), y = HEADS, z = BATCH; invocations of a workgroup are queries of one head.
// qkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; y [BATCH, TOKENS, HEADS, SIZE] of T; lse [BATCH, HEADS, TOKENS] f32.
enable subgroups;
alias T = f32;
const TOKENS: u32 = 290u;
const HEADS: u32 = 16u;
const QUADS: u32 = 16u; // SIZE / 4
const LANES: u32 = 4u;
const PARTS: u32 = 4u; // QUADS / LANES
const SCALE: f32 = 0.125f;
const CAUSAL: bool = false;

@group(0) @binding(0) var<storage, read> qkv: array<vec4<T>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<T>>;
// @if LSE
@group(0) @binding(2) var<storage, read_write> lse: array<f32>;
// @end

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let asked = group.x * 32u + local;
  // Broadcasts need every invocation: those past the end compute the last query and store nothing.
  let query = min(asked, TOKENS - 1u);
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
    for (var p = 0u; p < PARTS; p++) {
      let own = vec4<f32>(qkv[k + p * LANES + lane]);
      // @unroll
      for (var i = 0u; i < LANES; i++) {
        score += dot(q[p * LANES + i], subgroupBroadcast(own, i));
      }
    }
    score = select(-3.0e38f, score, key < limit);
    let next = max(peak, score);
    let shrink = exp(peak - next);
    let weight = select(0.0f, exp(score - next), key < limit);
    peak = next;
    total = total * shrink + weight;
    // @unroll
    for (var p = 0u; p < PARTS; p++) {
      let own = vec4<f32>(qkv[k + width + p * LANES + lane]);
      // @unroll
      for (var i = 0u; i < LANES; i++) {
        let c = p * LANES + i;
        sum[c] = sum[c] * shrink + weight * subgroupBroadcast(own, i);
      }
    }
  }
  if (asked >= TOKENS) {
    return;
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
