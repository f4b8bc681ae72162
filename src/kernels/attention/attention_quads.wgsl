// Attention by quads of a subgroup: four invocations share four queries of one head, and each holds every fourth vec4 of
// them and of their outputs. A key or value is loaded once for four queries; the quad adds up its parts of four scores and
// leaves each invocation the score of one query, whose softmax it keeps. On adapters that compute on a CPU every load is a
// gather, also of one address, and an exchange within a quad is one instruction. No barrier.
// Subgroups must have 4 invocations or more, in the order of the workgroup's; SIZE must be a multiple of 16.
// Grid: x = ceil(TOKENS / LANES), y = HEADS, z = BATCH; a workgroup has LANES queries of one head.
// qkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; y [BATCH, TOKENS, HEADS, SIZE] of T; lse [BATCH, HEADS, TOKENS] f32.
enable subgroups;
alias T = f32;
const TOKENS: u32 = 290u;
const HEADS: u32 = 16u;
const QUADS: u32 = 16u; // SIZE / 4
const LANES: u32 = 8u; // a multiple of 4
const PARTS: u32 = 4u; // QUADS / 4: vec4 of a vector that an invocation holds
const SCALE: f32 = 0.125f;
const CAUSAL: bool = false;

@group(0) @binding(0) var<storage, read> qkv: array<vec4<T>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<T>>;
// @if LSE
@group(0) @binding(2) var<storage, read_write> lse: array<f32>;
// @end

// @include quad_share

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let query = group.x * LANES + local;
  let part = local % 4u;
  let base = query - part;
  let width = HEADS * QUADS;
  let first = group.z * TOKENS * 3u * width + group.y * QUADS + part;
  var q: array<vec4<f32>, QUADS>;
  var sum: array<vec4<f32>, QUADS>;
  // Queries past the end compute the last one and store nothing: exchanges need every invocation.
  // @unroll
  for (var m = 0u; m < 4u; m++) {
    let at = first + min(base + m, TOKENS - 1u) * 3u * width;
    // @unroll
    for (var c = 0u; c < PARTS; c++) {
      q[m * PARTS + c] = SCALE * vec4<f32>(qkv[at + 4u * c]);
      sum[m * PARTS + c] = vec4<f32>();
    }
  }
  var peak = -3.0e38f;
  var total = 0.0f;
  // In a causal tower the whole workgroup runs to its last query, so that its quads stay together.
  let keys = select(TOKENS, min(TOKENS, group.x * LANES + LANES), CAUSAL);
  let limit = select(TOKENS, query + 1u, CAUSAL);
  for (var key = 0u; key < keys; key++) {
    let k = first + key * 3u * width + width;
    var s = vec4<f32>();
    // @unroll
    for (var c = 0u; c < PARTS; c++) {
      let own = vec4<f32>(qkv[k + 4u * c]);
      // @unroll
      for (var m = 0u; m < 4u; m++) {
        s[m] += dot(q[m * PARTS + c], own);
      }
    }
    let whole = quad_sums(s, part);
    let score = select(-3.0e38f, whole, key < limit);
    let next = max(peak, score);
    let shrink = exp(peak - next);
    let weight = select(0.0f, exp(score - next), key < limit);
    peak = next;
    total = total * shrink + weight;
    let shrinks = quad_values(shrink);
    let weights = quad_values(weight);
    // @unroll
    for (var c = 0u; c < PARTS; c++) {
      let own = vec4<f32>(qkv[k + width + 4u * c]);
      // @unroll
      for (var m = 0u; m < 4u; m++) {
        sum[m * PARTS + c] = sum[m * PARTS + c] * shrinks[m] + weights[m] * own;
      }
    }
  }
  let out = group.z * TOKENS * width + group.y * QUADS + part;
  let totals = quad_values(total);
  // @unroll
  for (var m = 0u; m < 4u; m++) {
    if (base + m < TOKENS) {
      // @unroll
      for (var c = 0u; c < PARTS; c++) {
        y[out + (base + m) * width + 4u * c] = vec4<T>(sum[m * PARTS + c] / totals[m]);
      }
    }
  }
  // @if LSE
  if (query < TOKENS) {
    lse[(group.z * HEADS + group.y) * TOKENS + query] = peak + log(total);
  }
  // @end
}
