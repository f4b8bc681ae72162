// Gradient of attention by the queries, one invocation a query: query, dy and the sum in registers as vec4, keys one by one.
// Leaves delta = dy . y for the keys' dispatch. No barrier. SIZE must be a multiple of 4.
// Grid: x = ceil(TOKENS / 32), y = HEADS, z = BATCH; invocations of a workgroup are queries of one head, so that they read
// the same keys.
// qkv, dqkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; y, dy [BATCH, TOKENS, HEADS, SIZE] of T; lse, delta [BATCH, HEADS, TOKENS]
// f32.
alias T = f32;
const TOKENS: u32 = 290u;
const HEADS: u32 = 16u;
const QUADS: u32 = 16u; // SIZE / 4
const SCALE: f32 = 0.125f;
const CAUSAL: bool = false;

@group(0) @binding(0) var<storage, read> qkv: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> y: array<vec4<T>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<T>>;
@group(0) @binding(3) var<storage, read> lse: array<f32>;
@group(0) @binding(4) var<storage, read_write> delta: array<f32>;
@group(0) @binding(5) var<storage, read_write> dqkv: array<vec4<T>>;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let query = group.x * 32u + local;
  if (query >= TOKENS) {
    return;
  }
  let width = HEADS * QUADS;
  let first = group.z * TOKENS * 3u * width + group.y * QUADS;
  let at = first + query * 3u * width;
  let out = (group.z * TOKENS + query) * width + group.y * QUADS;
  let row = (group.z * HEADS + group.y) * TOKENS + query;
  var q: array<vec4<f32>, QUADS>;
  var o: array<vec4<f32>, QUADS>;
  var dq: array<vec4<f32>, QUADS>;
  var dot_y = 0.0f;
  // @unroll
  for (var c = 0u; c < QUADS; c++) {
    q[c] = SCALE * vec4<f32>(qkv[at + c]);
    o[c] = vec4<f32>(dy[out + c]);
    dot_y += dot(o[c], vec4<f32>(y[out + c]));
  }
  delta[row] = dot_y;
  let log_sum = lse[row];
  // In a causal tower the whole workgroup runs to its last query, so that its key loads stay uniform.
  let keys = select(TOKENS, min(TOKENS, group.x * 32u + 32u), CAUSAL);
  let limit = select(TOKENS, query + 1u, CAUSAL);
  for (var key = 0u; key < keys; key++) {
    let k = first + key * 3u * width + width;
    var score = 0.0f;
    var dp = 0.0f;
    // @unroll
    for (var c = 0u; c < QUADS; c++) {
      score += dot(q[c], vec4<f32>(qkv[k + c]));
      dp += dot(o[c], vec4<f32>(qkv[k + width + c]));
    }
    let p = select(0.0f, exp(min(score - log_sum, 0.0f)), key < limit);
    let ds = p * (dp - dot_y);
    // @unroll
    for (var c = 0u; c < QUADS; c++) {
      dq[c] += ds * vec4<f32>(qkv[k + c]);
    }
  }
  // @unroll
  for (var c = 0u; c < QUADS; c++) {
    dqkv[at + c] = vec4<T>(SCALE * dq[c]);
  }
}
