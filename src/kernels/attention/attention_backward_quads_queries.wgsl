// Gradient of attention by the queries, by quads of a subgroup: four invocations share four queries of one head, and each
// holds every fourth vec4 of them, of their dy and of the sums, so that a key or value is loaded once for four queries.
// Each invocation owns the softmax of one of the queries. Leaves delta = dy . y for the keys' dispatch. No barrier.
// Subgroups must have 4 invocations or more, in the order of the workgroup's; SIZE must be a multiple of 16.
// Grid: x = ceil(TOKENS / LANES), y = HEADS, z = BATCH; a workgroup has LANES queries of one head.
// qkv, dqkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; y, dy [BATCH, TOKENS, HEADS, SIZE] of T; lse, delta [BATCH, HEADS, TOKENS]
// f32.
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
@group(0) @binding(1) var<storage, read> y: array<vec4<T>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<T>>;
@group(0) @binding(3) var<storage, read> lse: array<f32>;
@group(0) @binding(4) var<storage, read_write> delta: array<f32>;
@group(0) @binding(5) var<storage, read_write> dqkv: array<vec4<T>>;

// @include quad_share

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let query = group.x * LANES + local;
  let part = local % 4u;
  let base = query - part;
  let width = HEADS * QUADS;
  let first = group.z * TOKENS * 3u * width + group.y * QUADS + part;
  let row = (group.z * HEADS + group.y) * TOKENS + min(query, TOKENS - 1u);
  var q: array<vec4<f32>, QUADS>;
  var o: array<vec4<f32>, QUADS>;
  var dq: array<vec4<f32>, QUADS>;
  var dot_y = vec4<f32>();
  // Queries past the end compute the last one and store nothing: exchanges need every invocation.
  // @unroll
  for (var m = 0u; m < 4u; m++) {
    let near = min(base + m, TOKENS - 1u);
    let at = first + near * 3u * width;
    let out = (group.z * TOKENS + near) * width + group.y * QUADS + part;
    // @unroll
    for (var c = 0u; c < PARTS; c++) {
      q[m * PARTS + c] = SCALE * vec4<f32>(qkv[at + 4u * c]);
      o[m * PARTS + c] = vec4<f32>(dy[out + 4u * c]);
      dq[m * PARTS + c] = vec4<f32>();
      dot_y[m] += dot(o[m * PARTS + c], vec4<f32>(y[out + 4u * c]));
    }
  }
  let own_delta = quad_sums(dot_y, part);
  let log_sum = lse[row];
  // In a causal tower the whole workgroup runs to its last query, so that its quads stay together.
  let keys = select(TOKENS, min(TOKENS, group.x * LANES + LANES), CAUSAL);
  let limit = select(TOKENS, query + 1u, CAUSAL);
  for (var key = 0u; key < keys; key++) {
    let at = first + key * 3u * width + width;
    var k: array<vec4<f32>, PARTS>;
    var score = vec4<f32>();
    var dp = vec4<f32>();
    // @unroll
    for (var c = 0u; c < PARTS; c++) {
      k[c] = vec4<f32>(qkv[at + 4u * c]);
      let v = vec4<f32>(qkv[at + width + 4u * c]);
      // @unroll
      for (var m = 0u; m < 4u; m++) {
        score[m] += dot(q[m * PARTS + c], k[c]);
        dp[m] += dot(o[m * PARTS + c], v);
      }
    }
    let p = select(0.0f, exp(min(quad_sums(score, part) - log_sum, 0.0f)), key < limit);
    let ds = quad_values(p * (quad_sums(dp, part) - own_delta));
    // @unroll
    for (var c = 0u; c < PARTS; c++) {
      // @unroll
      for (var m = 0u; m < 4u; m++) {
        dq[m * PARTS + c] += ds[m] * k[c];
      }
    }
  }
  if (query < TOKENS) {
    delta[row] = own_delta;
  }
  // @unroll
  for (var m = 0u; m < 4u; m++) {
    if (base + m < TOKENS) {
      // @unroll
      for (var c = 0u; c < PARTS; c++) {
        dqkv[first + (base + m) * 3u * width + 4u * c] = vec4<T>(SCALE * dq[m * PARTS + c]);
      }
    }
  }
}
