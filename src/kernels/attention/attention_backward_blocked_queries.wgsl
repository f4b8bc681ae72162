// Gradient of attention by the queries through workgroup memory, blocked in registers: a workgroup takes ROWS queries of one head
// and SLICE = 4 WX keys and values at a time. Of the scores and of dp each invocation computes TR queries x 4 keys, then of dq TR
// queries x TD vec4. Key 4 x + j of a slice lies in row j WX + x, and rows are one vec4 longer than a head, so that neighbouring
// invocations read different banks. Leaves delta = dy . y for the keys' dispatch. SIZE must be a multiple of 4.
// Grid: x = ceil(TOKENS / ROWS), y = HEADS, z = BATCH.
// qkv, dqkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; y, dy [BATCH, TOKENS, HEADS, SIZE] of T; lse, delta [BATCH, HEADS, TOKENS]
// f32.
alias T = f32;
const TOKENS: u32 = 290u;
const HEADS: u32 = 16u;
const QUADS: u32 = 16u; // SIZE / 4
const SCALE: f32 = 0.125f;
const CAUSAL: bool = false;
const ROWS: u32 = 32u; // WY * TR
const SLICE: u32 = 16u; // 4 * WX
const WX: u32 = 4u;
const WY: u32 = 16u;
const THREADS: u32 = 64u; // WX * WY
const TR: u32 = 2u;
const TD: u32 = 4u; // ceil(QUADS / WX)
const HELD: u32 = 8u; // TR * TD
const STRIDE: u32 = 17u; // QUADS + 1
const ROW_CELLS: u32 = 544u; // ROWS * STRIDE
const SLICE_CELLS: u32 = 272u; // SLICE * STRIDE
const CELLS: u32 = 128u; // ROWS * WX

@group(0) @binding(0) var<storage, read> qkv: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> y: array<vec4<T>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<T>>;
@group(0) @binding(3) var<storage, read> lse: array<f32>;
@group(0) @binding(4) var<storage, read_write> delta: array<f32>;
@group(0) @binding(5) var<storage, read_write> dqkv: array<vec4<T>>;

var<workgroup> q_rows: array<vec4<T>, ROW_CELLS>;
var<workgroup> o_rows: array<vec4<T>, ROW_CELLS>;
var<workgroup> k_slice: array<vec4<T>, SLICE_CELLS>;
var<workgroup> v_slice: array<vec4<T>, SLICE_CELLS>;
var<workgroup> ds_cells: array<vec4<f32>, CELLS>;

@compute @workgroup_size(WX, WY)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let base = group.x * ROWS;
  let width = HEADS * QUADS;
  let first = group.z * TOKENS * 3u * width + group.y * QUADS;
  let first_out = group.z * TOKENS * width + group.y * QUADS;
  let row = (group.z * HEADS + group.y) * TOKENS;
  for (var i = local; i < ROWS * QUADS; i += THREADS) {
    let near = min(base + i / QUADS, TOKENS - 1u);
    q_rows[(i / QUADS) * STRIDE + i % QUADS] = qkv[first + near * 3u * width + i % QUADS];
    o_rows[(i / QUADS) * STRIDE + i % QUADS] = dy[first_out + near * width + i % QUADS];
  }
  var dq: array<vec4<f32>, HELD>;
  var log_sum: array<f32, TR>;
  var dot_y: array<f32, TR>;
  // @unroll
  for (var m = 0u; m < TR; m++) {
    let near = min(base + m * WY + id.y, TOKENS - 1u);
    log_sum[m] = lse[row + near];
    // Each invocation of a row takes the whole sum: a few loads more, no exchange.
    var sum = 0.0f;
    for (var c = 0u; c < QUADS; c++) {
      sum += dot(vec4<f32>(dy[first_out + near * width + c]), vec4<f32>(y[first_out + near * width + c]));
    }
    dot_y[m] = sum;
    if (id.x == 0u && base + m * WY + id.y < TOKENS) {
      delta[row + near] = sum;
    }
    // @unroll
    for (var d = 0u; d < TD; d++) {
      dq[m * TD + d] = vec4<f32>();
    }
  }
  let keys = select(TOKENS, min(TOKENS, base + ROWS), CAUSAL);
  for (var slice = 0u; slice < keys; slice += SLICE) {
    workgroupBarrier();
    for (var i = local; i < SLICE * QUADS; i += THREADS) {
      let r = i / QUADS;
      let at = first + min(slice + (r % WX) * 4u + r / WX, TOKENS - 1u) * 3u * width + i % QUADS;
      k_slice[r * STRIDE + i % QUADS] = qkv[at + width];
      v_slice[r * STRIDE + i % QUADS] = qkv[at + 2u * width];
    }
    workgroupBarrier();
    var score: array<vec4<f32>, TR>;
    var dp: array<vec4<f32>, TR>;
    // @unroll
    for (var m = 0u; m < TR; m++) {
      score[m] = vec4<f32>();
      dp[m] = vec4<f32>();
    }
    for (var c = 0u; c < QUADS; c++) {
      let k0 = vec4<f32>(k_slice[id.x * STRIDE + c]);
      let k1 = vec4<f32>(k_slice[(WX + id.x) * STRIDE + c]);
      let k2 = vec4<f32>(k_slice[(2u * WX + id.x) * STRIDE + c]);
      let k3 = vec4<f32>(k_slice[(3u * WX + id.x) * STRIDE + c]);
      let v0 = vec4<f32>(v_slice[id.x * STRIDE + c]);
      let v1 = vec4<f32>(v_slice[(WX + id.x) * STRIDE + c]);
      let v2 = vec4<f32>(v_slice[(2u * WX + id.x) * STRIDE + c]);
      let v3 = vec4<f32>(v_slice[(3u * WX + id.x) * STRIDE + c]);
      // @unroll
      for (var m = 0u; m < TR; m++) {
        let q = vec4<f32>(q_rows[(m * WY + id.y) * STRIDE + c]);
        let o = vec4<f32>(o_rows[(m * WY + id.y) * STRIDE + c]);
        score[m] += vec4<f32>(dot(q, k0), dot(q, k1), dot(q, k2), dot(q, k3));
        dp[m] += vec4<f32>(dot(o, v0), dot(o, v1), dot(o, v2), dot(o, v3));
      }
    }
    let key = slice + 4u * id.x + vec4<u32>(0u, 1u, 2u, 3u);
    // @unroll
    for (var m = 0u; m < TR; m++) {
      let limit = select(TOKENS, min(base + m * WY + id.y + 1u, TOKENS), CAUSAL);
      let weight = exp(min(SCALE * score[m] - log_sum[m], vec4<f32>()));
      let p = select(vec4<f32>(), weight, key < vec4<u32>(limit));
      ds_cells[(m * WY + id.y) * WX + id.x] = p * (dp[m] - dot_y[m]);
    }
    workgroupBarrier();
    for (var i = 0u; i < WX; i++) {
      // @unroll
      for (var d = 0u; d < TD; d++) {
        let col = min(d * WX + id.x, QUADS - 1u);
        let k0 = vec4<f32>(k_slice[i * STRIDE + col]);
        let k1 = vec4<f32>(k_slice[(WX + i) * STRIDE + col]);
        let k2 = vec4<f32>(k_slice[(2u * WX + i) * STRIDE + col]);
        let k3 = vec4<f32>(k_slice[(3u * WX + i) * STRIDE + col]);
        // @unroll
        for (var m = 0u; m < TR; m++) {
          let ds = ds_cells[(m * WY + id.y) * WX + i];
          dq[m * TD + d] += ds.x * k0 + ds.y * k1 + ds.z * k2 + ds.w * k3;
        }
      }
    }
  }
  // @unroll
  for (var m = 0u; m < TR; m++) {
    let query = base + m * WY + id.y;
    if (query < TOKENS) {
      // @unroll
      for (var d = 0u; d < TD; d++) {
        if (d * WX + id.x < QUADS) {
          dqkv[first + query * 3u * width + d * WX + id.x] = vec4<T>(SCALE * dq[m * TD + d]);
        }
      }
    }
  }
}
