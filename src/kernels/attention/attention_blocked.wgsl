// Attention through workgroup memory, blocked in registers (the order of FlashAttention, Dao et al. 2022): a workgroup takes
// QUERIES queries of one head and KEYS = 4 WX keys at a time. Of the scores each invocation computes TQ queries x 4 keys, then
// of the output TQ queries x TD vec4: 64 multiply-adds for 8 loads from workgroup memory at TQ = 4, where `tiled` has 4 for 1.
// One buffer holds the keys, then the values. Key 4 x + j lies in row j WX + x, and rows are one vec4 longer than a head, so
// that neighbouring invocations read different banks. SIZE must be a multiple of 4.
// Grid: x = ceil(TOKENS / QUERIES), y = HEADS, z = BATCH.
// qkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; y [BATCH, TOKENS, HEADS, SIZE] of T; lse [BATCH, HEADS, TOKENS] f32.
alias T = f32;
const TOKENS: u32 = 290u;
const HEADS: u32 = 16u;
const QUADS: u32 = 16u; // SIZE / 4
const SCALE: f32 = 0.125f;
const CAUSAL: bool = false;
const QUERIES: u32 = 32u; // WY * TQ
const KEYS: u32 = 32u; // 4 * WX
const WX: u32 = 8u;
const WY: u32 = 8u;
const THREADS: u32 = 64u; // WX * WY
const TQ: u32 = 4u;
const TD: u32 = 2u; // ceil(QUADS / WX)
const HELD: u32 = 8u; // TQ * TD
const STRIDE: u32 = 17u; // QUADS + 1
const Q_CELLS: u32 = 544u; // QUERIES * STRIDE
const KV_CELLS: u32 = 544u; // KEYS * STRIDE
const CELLS: u32 = 256u; // QUERIES * WX

@group(0) @binding(0) var<storage, read> qkv: array<vec4<T>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<T>>;
// @if LSE
@group(0) @binding(2) var<storage, read_write> lse: array<f32>;
// @end

var<workgroup> q_tile: array<vec4<T>, Q_CELLS>;
var<workgroup> kv_tile: array<vec4<T>, KV_CELLS>;
var<workgroup> weights: array<vec4<f32>, CELLS>;
var<workgroup> part: array<f32, CELLS>; // each invocation's largest scores, at the end its sums

/** Rows of keys (or values, one `width` further) from `slice` on; past the end the last one again. */
fn load_slice(slice: u32, first: u32, width: u32, local: u32) {
  for (var i = local; i < KEYS * QUADS; i += THREADS) {
    let row = i / QUADS;
    let key = min(slice + (row % WX) * 4u + row / WX, TOKENS - 1u);
    kv_tile[row * STRIDE + i % QUADS] = qkv[first + key * 3u * width + i % QUADS];
  }
}

@compute @workgroup_size(WX, WY)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let base = group.x * QUERIES;
  let width = HEADS * QUADS;
  let first = group.z * TOKENS * 3u * width + group.y * QUADS;
  for (var i = local; i < QUERIES * QUADS; i += THREADS) {
    let near = min(base + i / QUADS, TOKENS - 1u);
    q_tile[(i / QUADS) * STRIDE + i % QUADS] = qkv[first + near * 3u * width + i % QUADS];
  }
  var sum: array<vec4<f32>, HELD>;
  var peak: array<f32, TQ>;
  var total: array<f32, TQ>;
  // @unroll
  for (var m = 0u; m < TQ; m++) {
    peak[m] = -3.0e38f;
    total[m] = 0.0f;
    // @unroll
    for (var d = 0u; d < TD; d++) {
      sum[m * TD + d] = vec4<f32>();
    }
  }
  let keys = select(TOKENS, min(TOKENS, base + QUERIES), CAUSAL);
  for (var slice = 0u; slice < keys; slice += KEYS) {
    workgroupBarrier();
    load_slice(slice, first + width, width, local);
    workgroupBarrier();
    var score: array<vec4<f32>, TQ>;
    // @unroll
    for (var m = 0u; m < TQ; m++) {
      score[m] = vec4<f32>();
    }
    for (var c = 0u; c < QUADS; c++) {
      let k0 = vec4<f32>(kv_tile[id.x * STRIDE + c]);
      let k1 = vec4<f32>(kv_tile[(WX + id.x) * STRIDE + c]);
      let k2 = vec4<f32>(kv_tile[(2u * WX + id.x) * STRIDE + c]);
      let k3 = vec4<f32>(kv_tile[(3u * WX + id.x) * STRIDE + c]);
      // @unroll
      for (var m = 0u; m < TQ; m++) {
        let q = vec4<f32>(q_tile[(m * WY + id.y) * STRIDE + c]);
        score[m] += vec4<f32>(dot(q, k0), dot(q, k1), dot(q, k2), dot(q, k3));
      }
    }
    let key = slice + 4u * id.x + vec4<u32>(0u, 1u, 2u, 3u);
    // @unroll
    for (var m = 0u; m < TQ; m++) {
      let limit = select(TOKENS, min(base + m * WY + id.y + 1u, TOKENS), CAUSAL);
      score[m] = select(vec4<f32>(-3.0e38f), SCALE * score[m], key < vec4<u32>(limit));
      part[(m * WY + id.y) * WX + id.x] = max(max(score[m].x, score[m].y), max(score[m].z, score[m].w));
    }
    workgroupBarrier();
    load_slice(slice, first + 2u * width, width, local);
    // @unroll
    for (var m = 0u; m < TQ; m++) {
      let row = (m * WY + id.y) * WX;
      var next = peak[m];
      for (var i = 0u; i < WX; i++) {
        next = max(next, part[row + i]);
      }
      let shrink = exp(peak[m] - next);
      // Every query sees the first key, so that `next` is a score and hidden keys weigh nothing.
      let weight = exp(score[m] - next);
      peak[m] = next;
      total[m] = total[m] * shrink + dot(weight, vec4<f32>(1.0f));
      weights[row + id.x] = weight;
      // @unroll
      for (var d = 0u; d < TD; d++) {
        sum[m * TD + d] *= shrink;
      }
    }
    workgroupBarrier();
    for (var i = 0u; i < WX; i++) {
      // @unroll
      for (var d = 0u; d < TD; d++) {
        let col = min(d * WX + id.x, QUADS - 1u);
        let v0 = vec4<f32>(kv_tile[i * STRIDE + col]);
        let v1 = vec4<f32>(kv_tile[(WX + i) * STRIDE + col]);
        let v2 = vec4<f32>(kv_tile[(2u * WX + i) * STRIDE + col]);
        let v3 = vec4<f32>(kv_tile[(3u * WX + i) * STRIDE + col]);
        // @unroll
        for (var m = 0u; m < TQ; m++) {
          let w = weights[(m * WY + id.y) * WX + i];
          sum[m * TD + d] += w.x * v0 + w.y * v1 + w.z * v2 + w.w * v3;
        }
      }
    }
  }
  // @unroll
  for (var m = 0u; m < TQ; m++) {
    part[(m * WY + id.y) * WX + id.x] = total[m];
  }
  workgroupBarrier();
  // @unroll
  for (var m = 0u; m < TQ; m++) {
    let query = base + m * WY + id.y;
    var whole = 0.0f;
    for (var i = 0u; i < WX; i++) {
      whole += part[(m * WY + id.y) * WX + i];
    }
    if (query < TOKENS) {
      // @unroll
      for (var d = 0u; d < TD; d++) {
        if (d * WX + id.x < QUADS) {
          y[(group.z * TOKENS + query) * width + group.y * QUADS + d * WX + id.x] = vec4<T>(sum[m * TD + d] / whole);
        }
      }
      // @if LSE
      if (id.x == 0u) {
        lse[(group.z * HEADS + group.y) * TOKENS + query] = peak[m] + log(whole);
      }
      // @end
    }
  }
}
