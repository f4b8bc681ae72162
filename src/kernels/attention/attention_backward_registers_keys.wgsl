// Gradient of attention by keys and values, one invocation a key: key, value and both sums in registers as vec4, queries one
// by one. Runs after the queries' dispatch, which leaves delta. No barrier. SIZE must be a multiple of 4.
// Grid: x = ceil(TOKENS / 32), y = HEADS, z = BATCH; invocations of a workgroup are keys of one head, so that they read the
// same queries.
// qkv, dqkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; dy [BATCH, TOKENS, HEADS, SIZE] of T; lse, delta [BATCH, HEADS, TOKENS] f32.
alias T = f32;
const TOKENS: u32 = 290u;
const HEADS: u32 = 16u;
const QUADS: u32 = 16u; // SIZE / 4
const SCALE: f32 = 0.125f;
const CAUSAL: bool = false;

@group(0) @binding(0) var<storage, read> qkv: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<T>>;
@group(0) @binding(2) var<storage, read> lse: array<f32>;
@group(0) @binding(3) var<storage, read> delta: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<vec4<T>>;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let key = group.x * 32u + local;
  if (key >= TOKENS) {
    return;
  }
  let width = HEADS * QUADS;
  let first = group.z * TOKENS * 3u * width + group.y * QUADS;
  let at = first + key * 3u * width + width;
  let row = (group.z * HEADS + group.y) * TOKENS;
  var k: array<vec4<f32>, QUADS>;
  var v: array<vec4<f32>, QUADS>;
  var dk: array<vec4<f32>, QUADS>;
  var dv: array<vec4<f32>, QUADS>;
  // @unroll
  for (var c = 0u; c < QUADS; c++) {
    k[c] = SCALE * vec4<f32>(qkv[at + c]);
    v[c] = vec4<f32>(qkv[at + width + c]);
  }
  // In a causal tower the whole workgroup runs from its first key, so that its query loads stay uniform.
  for (var query = select(0u, group.x * 32u, CAUSAL); query < TOKENS; query++) {
    let q = first + query * 3u * width;
    let out = (group.z * TOKENS + query) * width + group.y * QUADS;
    var score = 0.0f;
    var dp = 0.0f;
    // @unroll
    for (var c = 0u; c < QUADS; c++) {
      score += dot(k[c], vec4<f32>(qkv[q + c]));
      dp += dot(v[c], vec4<f32>(dy[out + c]));
    }
    let p = select(0.0f, exp(min(score - lse[row + query], 0.0f)), !CAUSAL || query >= key);
    let ds = p * (dp - delta[row + query]);
    // @unroll
    for (var c = 0u; c < QUADS; c++) {
      dv[c] += p * vec4<f32>(dy[out + c]);
      dk[c] += ds * vec4<f32>(qkv[q + c]);
    }
  }
  // @unroll
  for (var c = 0u; c < QUADS; c++) {
    dqkv[at + c] = vec4<T>(SCALE * dk[c]);
    dqkv[at + width + c] = vec4<T>(dv[c]);
  }
}
