// Gradient of attention by the queries through workgroup memory: 32 queries of one head share each slice of 8 keys and values.
// Two invocations a query hold half of the head each (query, dy and the sum, which whole would fill a GPU's registers) and
// exchange their halves of the dot products. Leaves delta = dy . y for the keys' dispatch. SIZE must be a multiple of 8.
// Grid: x = ceil(TOKENS / 32), y = HEADS, z = BATCH.
// qkv, dqkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; y, dy [BATCH, TOKENS, HEADS, SIZE] of T; lse, delta [BATCH, HEADS, TOKENS]
// f32.
alias T = f32;
const TOKENS: u32 = 290u;
const HEADS: u32 = 16u;
const QUADS: u32 = 16u; // SIZE / 4
const HALF: u32 = 8u; // QUADS / 2
const SCALE: f32 = 0.125f;
const CAUSAL: bool = false;
const KEYS: u32 = 8u;
const SLICE: u32 = 128u; // KEYS * QUADS

@group(0) @binding(0) var<storage, read> qkv: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> y: array<vec4<T>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<T>>;
@group(0) @binding(3) var<storage, read> lse: array<f32>;
@group(0) @binding(4) var<storage, read_write> delta: array<f32>;
@group(0) @binding(5) var<storage, read_write> dqkv: array<vec4<T>>;

var<workgroup> k_slice: array<vec4<f32>, SLICE>;
var<workgroup> v_slice: array<vec4<f32>, SLICE>;
var<workgroup> part: array<vec2<f32>, 512>; // KEYS * 64: each invocation's halves of score and dp

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let query = group.x * 32u + local % 32u;
  let start = (local / 32u) * HALF;
  let near = min(query, TOKENS - 1u);
  let width = HEADS * QUADS;
  let first = group.z * TOKENS * 3u * width + group.y * QUADS;
  let at = first + near * 3u * width + start;
  let out = (group.z * TOKENS + near) * width + group.y * QUADS;
  let row = (group.z * HEADS + group.y) * TOKENS + near;
  var q: array<vec4<f32>, HALF>;
  var o: array<vec4<f32>, HALF>;
  var dq: array<vec4<f32>, HALF>;
  // @unroll
  for (var c = 0u; c < HALF; c++) {
    q[c] = SCALE * vec4<f32>(qkv[at + c]);
    o[c] = vec4<f32>(dy[out + start + c]);
  }
  var dot_y = 0.0f;
  for (var c = 0u; c < QUADS; c++) {
    dot_y += dot(vec4<f32>(dy[out + c]), vec4<f32>(y[out + c]));
  }
  if (local < 32u && query < TOKENS) {
    delta[row] = dot_y;
  }
  let log_sum = lse[row];
  let keys = select(TOKENS, min(TOKENS, group.x * 32u + 32u), CAUSAL);
  let limit = select(TOKENS, min(query + 1u, TOKENS), CAUSAL);
  for (var slice = 0u; slice < keys; slice += KEYS) {
    workgroupBarrier();
    for (var i = local; i < SLICE; i += 64u) {
      let key = min(slice + i / QUADS, TOKENS - 1u);
      let k = first + key * 3u * width + width + i % QUADS;
      k_slice[i] = vec4<f32>(qkv[k]);
      v_slice[i] = vec4<f32>(qkv[k + width]);
    }
    workgroupBarrier();
    for (var i = 0u; i < KEYS; i++) {
      var score = 0.0f;
      var dp = 0.0f;
      // @unroll
      for (var c = 0u; c < HALF; c++) {
        score += dot(q[c], k_slice[i * QUADS + start + c]);
        dp += dot(o[c], v_slice[i * QUADS + start + c]);
      }
      part[i * 64u + local] = vec2<f32>(score, dp);
    }
    workgroupBarrier();
    for (var i = 0u; i < KEYS; i++) {
      // Either half adds the same two numbers, so both see the same bits.
      let whole = part[i * 64u + local] + part[i * 64u + (local ^ 32u)];
      let p = select(0.0f, exp(min(whole.x - log_sum, 0.0f)), slice + i < limit);
      let ds = p * (whole.y - dot_y);
      // @unroll
      for (var c = 0u; c < HALF; c++) {
        dq[c] += ds * k_slice[i * QUADS + start + c];
      }
    }
  }
  if (query < TOKENS) {
    // @unroll
    for (var c = 0u; c < HALF; c++) {
      dqkv[at + c] = vec4<T>(SCALE * dq[c]);
    }
  }
}
