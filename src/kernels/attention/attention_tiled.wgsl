// Attention through workgroup memory: 64 queries of one head share each slice of 16 keys and values. Query and output stay
// in registers as vec4; one rescaling a slice. SIZE must be a multiple of 4, and 2 * 16 * SIZE f32 must fit workgroup memory.
// Grid: x = ceil(TOKENS / 64), y = HEADS, z = BATCH.
// qkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; y [BATCH, TOKENS, HEADS, SIZE] of T; lse [BATCH, HEADS, TOKENS] f32.
alias T = f32;
const TOKENS: u32 = 290u;
const HEADS: u32 = 16u;
const QUADS: u32 = 16u; // SIZE / 4
const SCALE: f32 = 0.125f;
const CAUSAL: bool = false;
const KEYS: u32 = 16u;
const SLICE: u32 = 256u; // KEYS * QUADS

@group(0) @binding(0) var<storage, read> qkv: array<vec4<T>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<T>>;
// @if LSE
@group(0) @binding(2) var<storage, read_write> lse: array<f32>;
// @end

var<workgroup> k_slice: array<vec4<f32>, SLICE>;
var<workgroup> v_slice: array<vec4<f32>, SLICE>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let query = group.x * 64u + local;
  let width = HEADS * QUADS;
  let first = group.z * TOKENS * 3u * width + group.y * QUADS;
  var q: array<vec4<f32>, QUADS>;
  var sum: array<vec4<f32>, QUADS>;
  // @unroll
  for (var c = 0u; c < QUADS; c++) {
    q[c] = SCALE * vec4<f32>(qkv[first + min(query, TOKENS - 1u) * 3u * width + c]);
  }
  var peak = -3.0e38f;
  var total = 0.0f;
  let keys = select(TOKENS, min(TOKENS, group.x * 64u + 64u), CAUSAL);
  let limit = select(TOKENS, min(query + 1u, TOKENS), CAUSAL);
  for (var slice = 0u; slice < keys; slice += KEYS) {
    workgroupBarrier();
    for (var i = local; i < SLICE; i += 64u) {
      let key = min(slice + i / QUADS, TOKENS - 1u);
      let at = first + key * 3u * width + i % QUADS;
      k_slice[i] = vec4<f32>(qkv[at + width]);
      v_slice[i] = vec4<f32>(qkv[at + 2u * width]);
    }
    workgroupBarrier();
    var score: array<f32, KEYS>;
    var next = peak;
    for (var i = 0u; i < KEYS; i++) {
      var s = 0.0f;
      // @unroll
      for (var c = 0u; c < QUADS; c++) {
        s += dot(q[c], k_slice[i * QUADS + c]);
      }
      score[i] = select(-3.0e38f, s, slice + i < limit);
      next = max(next, score[i]);
    }
    let shrink = exp(peak - next);
    peak = next;
    total *= shrink;
    // @unroll
    for (var c = 0u; c < QUADS; c++) {
      sum[c] *= shrink;
    }
    for (var i = 0u; i < KEYS; i++) {
      let weight = select(0.0f, exp(score[i] - peak), slice + i < limit);
      total += weight;
      // @unroll
      for (var c = 0u; c < QUADS; c++) {
        sum[c] += weight * v_slice[i * QUADS + c];
      }
    }
  }
  if (query < TOKENS) {
    let out = (group.z * TOKENS + query) * width + group.y * QUADS;
    // @unroll
    for (var c = 0u; c < QUADS; c++) {
      y[out + c] = vec4<T>(sum[c] / total);
    }
    // @if LSE
    lse[(group.z * HEADS + group.y) * TOKENS + query] = peak + log(total);
    // @end
  }
}
