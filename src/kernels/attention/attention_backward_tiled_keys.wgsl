// Gradient of attention by keys and values through workgroup memory: 32 keys of one head share each slice of 8 queries. Two
// invocations a key hold half of the head each (key, value and both sums, which whole would fill a GPU's registers) and
// exchange their halves of the dot products. Runs after the queries' dispatch, which leaves delta. SIZE must be a multiple
// of 8.
// Grid: x = ceil(TOKENS / 32), y = HEADS, z = BATCH.
// qkv, dqkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; dy [BATCH, TOKENS, HEADS, SIZE] of T; lse, delta [BATCH, HEADS, TOKENS] f32.
alias T = f32;
const TOKENS: u32 = 290u;
const HEADS: u32 = 16u;
const QUADS: u32 = 16u; // SIZE / 4
const HALF: u32 = 8u; // QUADS / 2
const SCALE: f32 = 0.125f;
const CAUSAL: bool = false;
const QUERIES: u32 = 8u;
const SLICE: u32 = 128u; // QUERIES * QUADS

@group(0) @binding(0) var<storage, read> qkv: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<T>>;
@group(0) @binding(2) var<storage, read> lse: array<f32>;
@group(0) @binding(3) var<storage, read> delta: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<vec4<T>>;

var<workgroup> q_slice: array<vec4<f32>, SLICE>;
var<workgroup> o_slice: array<vec4<f32>, SLICE>;
var<workgroup> part: array<vec2<f32>, 512>; // QUERIES * 64: each invocation's halves of score and dp

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let key = group.x * 32u + local % 32u;
  let start = (local / 32u) * HALF;
  let width = HEADS * QUADS;
  let first = group.z * TOKENS * 3u * width + group.y * QUADS;
  let at = first + min(key, TOKENS - 1u) * 3u * width + width + start;
  let row = (group.z * HEADS + group.y) * TOKENS;
  var k: array<vec4<f32>, HALF>;
  var v: array<vec4<f32>, HALF>;
  var dk: array<vec4<f32>, HALF>;
  var dv: array<vec4<f32>, HALF>;
  // @unroll
  for (var c = 0u; c < HALF; c++) {
    k[c] = SCALE * vec4<f32>(qkv[at + c]);
    v[c] = vec4<f32>(qkv[at + width + c]);
  }
  for (var slice = select(0u, group.x * 32u, CAUSAL); slice < TOKENS; slice += QUERIES) {
    workgroupBarrier();
    for (var i = local; i < SLICE; i += 64u) {
      let query = group.z * TOKENS + min(slice + i / QUADS, TOKENS - 1u);
      q_slice[i] = vec4<f32>(qkv[query * 3u * width + group.y * QUADS + i % QUADS]);
      o_slice[i] = vec4<f32>(dy[query * width + group.y * QUADS + i % QUADS]);
    }
    workgroupBarrier();
    for (var i = 0u; i < QUERIES; i++) {
      var score = 0.0f;
      var dp = 0.0f;
      // @unroll
      for (var c = 0u; c < HALF; c++) {
        score += dot(k[c], q_slice[i * QUADS + start + c]);
        dp += dot(v[c], o_slice[i * QUADS + start + c]);
      }
      part[i * 64u + local] = vec2<f32>(score, dp);
    }
    workgroupBarrier();
    for (var i = 0u; i < QUERIES; i++) {
      // Either half adds the same two numbers, so both see the same bits.
      let whole = part[i * 64u + local] + part[i * 64u + (local ^ 32u)];
      let query = slice + i;
      let near = row + min(query, TOKENS - 1u);
      let seen = query < TOKENS && (!CAUSAL || query >= key);
      let p = select(0.0f, exp(min(whole.x - lse[near], 0.0f)), seen);
      let ds = p * (whole.y - delta[near]);
      // @unroll
      for (var c = 0u; c < HALF; c++) {
        dv[c] += p * o_slice[i * QUADS + start + c];
        dk[c] += ds * q_slice[i * QUADS + start + c];
      }
    }
  }
  if (key < TOKENS) {
    // @unroll
    for (var c = 0u; c < HALF; c++) {
      dqkv[at + c] = vec4<T>(SCALE * dk[c]);
      dqkv[at + width + c] = vec4<T>(dv[c]);
    }
  }
}
