// Gradient of attention by keys and values, by quads of a subgroup: four invocations share four keys of one head, and each
// holds every fourth vec4 of them, of their values and of both sums, so that a query or dy is loaded once for four keys.
// Each invocation owns the weights of one of the keys. Runs after the queries' dispatch, which leaves delta. No barrier.
// Subgroups must have 4 invocations or more, in the order of the workgroup's; SIZE must be a multiple of 16.
// Grid: x = ceil(TOKENS / LANES), y = HEADS, z = BATCH; a workgroup has LANES keys of one head.
// qkv, dqkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; dy [BATCH, TOKENS, HEADS, SIZE] of T; lse, delta [BATCH, HEADS, TOKENS] f32.
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
@group(0) @binding(1) var<storage, read> dy: array<vec4<T>>;
@group(0) @binding(2) var<storage, read> lse: array<f32>;
@group(0) @binding(3) var<storage, read> delta: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<vec4<T>>;

// @include quad_share

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let key = group.x * LANES + local;
  let part = local % 4u;
  let base = key - part;
  let width = HEADS * QUADS;
  let first = group.z * TOKENS * 3u * width + group.y * QUADS + part;
  let row = (group.z * HEADS + group.y) * TOKENS;
  var k: array<vec4<f32>, QUADS>;
  var v: array<vec4<f32>, QUADS>;
  var dk: array<vec4<f32>, QUADS>;
  var dv: array<vec4<f32>, QUADS>;
  // Keys past the end compute the last one and store nothing: exchanges need every invocation.
  // @unroll
  for (var m = 0u; m < 4u; m++) {
    let at = first + min(base + m, TOKENS - 1u) * 3u * width + width;
    // @unroll
    for (var c = 0u; c < PARTS; c++) {
      k[m * PARTS + c] = SCALE * vec4<f32>(qkv[at + 4u * c]);
      v[m * PARTS + c] = vec4<f32>(qkv[at + width + 4u * c]);
      dk[m * PARTS + c] = vec4<f32>();
      dv[m * PARTS + c] = vec4<f32>();
    }
  }
  // In a causal tower the whole workgroup runs from its first key, so that its quads stay together.
  for (var query = select(0u, group.x * LANES, CAUSAL); query < TOKENS; query++) {
    let at = first + query * 3u * width;
    let out = (group.z * TOKENS + query) * width + group.y * QUADS + part;
    var q: array<vec4<f32>, PARTS>;
    var o: array<vec4<f32>, PARTS>;
    var score = vec4<f32>();
    var dp = vec4<f32>();
    // @unroll
    for (var c = 0u; c < PARTS; c++) {
      q[c] = vec4<f32>(qkv[at + 4u * c]);
      o[c] = vec4<f32>(dy[out + 4u * c]);
      // @unroll
      for (var m = 0u; m < 4u; m++) {
        score[m] += dot(k[m * PARTS + c], q[c]);
        dp[m] += dot(v[m * PARTS + c], o[c]);
      }
    }
    let own = select(0.0f, exp(min(quad_sums(score, part) - lse[row + query], 0.0f)), !CAUSAL || query >= key);
    let p = quad_values(own);
    let ds = quad_values(own * (quad_sums(dp, part) - delta[row + query]));
    // @unroll
    for (var c = 0u; c < PARTS; c++) {
      // @unroll
      for (var m = 0u; m < 4u; m++) {
        dv[m * PARTS + c] += p[m] * o[c];
        dk[m * PARTS + c] += ds[m] * q[c];
      }
    }
  }
  // @unroll
  for (var m = 0u; m < 4u; m++) {
    if (base + m < TOKENS) {
      let at = first + (base + m) * 3u * width + width;
      // @unroll
      for (var c = 0u; c < PARTS; c++) {
        dqkv[at + 4u * c] = vec4<T>(SCALE * dk[m * PARTS + c]);
        dqkv[at + width + 4u * c] = vec4<T>(dv[m * PARTS + c]);
      }
    }
  }
}
