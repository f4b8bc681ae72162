// Gradient of attention by keys and values through workgroup memory, blocked in registers: a workgroup takes ROWS keys of one head
// and SLICE = 4 WX queries and their dy at a time. Of the scores and of dp each invocation computes TR keys x 4 queries, then of dk
// and dv TR keys x TD vec4. Query 4 x + j of a slice lies in row j WX + x, and rows are one vec4 longer than a head, so that
// neighbouring invocations read different banks. Runs after the queries' dispatch, which leaves delta. SIZE must be a multiple of
// 4.
// Grid: x = ceil(TOKENS / ROWS), y = HEADS, z = BATCH.
// qkv, dqkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; dy [BATCH, TOKENS, HEADS, SIZE] of T; lse, delta [BATCH, HEADS, TOKENS] f32.
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
@group(0) @binding(1) var<storage, read> dy: array<vec4<T>>;
@group(0) @binding(2) var<storage, read> lse: array<f32>;
@group(0) @binding(3) var<storage, read> delta: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<vec4<T>>;

var<workgroup> k_rows: array<vec4<T>, ROW_CELLS>;
var<workgroup> v_rows: array<vec4<T>, ROW_CELLS>;
var<workgroup> q_slice: array<vec4<T>, SLICE_CELLS>;
var<workgroup> o_slice: array<vec4<T>, SLICE_CELLS>;
var<workgroup> p_cells: array<vec4<f32>, CELLS>;
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
    let at = first + min(base + i / QUADS, TOKENS - 1u) * 3u * width + i % QUADS;
    k_rows[(i / QUADS) * STRIDE + i % QUADS] = qkv[at + width];
    v_rows[(i / QUADS) * STRIDE + i % QUADS] = qkv[at + 2u * width];
  }
  var dk: array<vec4<f32>, HELD>;
  var dv: array<vec4<f32>, HELD>;
  // @unroll
  for (var m = 0u; m < HELD; m++) {
    dk[m] = vec4<f32>();
    dv[m] = vec4<f32>();
  }
  // Of a causal tower, the slices before the workgroup's first key see none of its keys.
  for (var slice = select(0u, base, CAUSAL); slice < TOKENS; slice += SLICE) {
    workgroupBarrier();
    for (var i = local; i < SLICE * QUADS; i += THREADS) {
      let r = i / QUADS;
      let near = min(slice + (r % WX) * 4u + r / WX, TOKENS - 1u);
      q_slice[r * STRIDE + i % QUADS] = qkv[first + near * 3u * width + i % QUADS];
      o_slice[r * STRIDE + i % QUADS] = dy[first_out + near * width + i % QUADS];
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
      let q0 = vec4<f32>(q_slice[id.x * STRIDE + c]);
      let q1 = vec4<f32>(q_slice[(WX + id.x) * STRIDE + c]);
      let q2 = vec4<f32>(q_slice[(2u * WX + id.x) * STRIDE + c]);
      let q3 = vec4<f32>(q_slice[(3u * WX + id.x) * STRIDE + c]);
      let o0 = vec4<f32>(o_slice[id.x * STRIDE + c]);
      let o1 = vec4<f32>(o_slice[(WX + id.x) * STRIDE + c]);
      let o2 = vec4<f32>(o_slice[(2u * WX + id.x) * STRIDE + c]);
      let o3 = vec4<f32>(o_slice[(3u * WX + id.x) * STRIDE + c]);
      // @unroll
      for (var m = 0u; m < TR; m++) {
        let k = vec4<f32>(k_rows[(m * WY + id.y) * STRIDE + c]);
        let v = vec4<f32>(v_rows[(m * WY + id.y) * STRIDE + c]);
        score[m] += vec4<f32>(dot(k, q0), dot(k, q1), dot(k, q2), dot(k, q3));
        dp[m] += vec4<f32>(dot(v, o0), dot(v, o1), dot(v, o2), dot(v, o3));
      }
    }
    let query = slice + 4u * id.x + vec4<u32>(0u, 1u, 2u, 3u);
    let near = row + min(query, vec4<u32>(TOKENS - 1u));
    let log_sum = vec4<f32>(lse[near.x], lse[near.y], lse[near.z], lse[near.w]);
    let dot_y = vec4<f32>(delta[near.x], delta[near.y], delta[near.z], delta[near.w]);
    // @unroll
    for (var m = 0u; m < TR; m++) {
      let least = select(0u, base + m * WY + id.y, CAUSAL);
      let seen = (query < vec4<u32>(TOKENS)) & (query >= vec4<u32>(least));
      let p = select(vec4<f32>(), exp(min(SCALE * score[m] - log_sum, vec4<f32>())), seen);
      p_cells[(m * WY + id.y) * WX + id.x] = p;
      ds_cells[(m * WY + id.y) * WX + id.x] = p * (dp[m] - dot_y);
    }
    workgroupBarrier();
    for (var i = 0u; i < WX; i++) {
      // @unroll
      for (var d = 0u; d < TD; d++) {
        let col = min(d * WX + id.x, QUADS - 1u);
        let q0 = vec4<f32>(q_slice[i * STRIDE + col]);
        let q1 = vec4<f32>(q_slice[(WX + i) * STRIDE + col]);
        let q2 = vec4<f32>(q_slice[(2u * WX + i) * STRIDE + col]);
        let q3 = vec4<f32>(q_slice[(3u * WX + i) * STRIDE + col]);
        let o0 = vec4<f32>(o_slice[i * STRIDE + col]);
        let o1 = vec4<f32>(o_slice[(WX + i) * STRIDE + col]);
        let o2 = vec4<f32>(o_slice[(2u * WX + i) * STRIDE + col]);
        let o3 = vec4<f32>(o_slice[(3u * WX + i) * STRIDE + col]);
        // @unroll
        for (var m = 0u; m < TR; m++) {
          let p = p_cells[(m * WY + id.y) * WX + i];
          let ds = ds_cells[(m * WY + id.y) * WX + i];
          dv[m * TD + d] += p.x * o0 + p.y * o1 + p.z * o2 + p.w * o3;
          dk[m * TD + d] += ds.x * q0 + ds.y * q1 + ds.z * q2 + ds.w * q3;
        }
      }
    }
  }
  // @unroll
  for (var m = 0u; m < TR; m++) {
    let key = base + m * WY + id.y;
    if (key < TOKENS) {
      // @unroll
      for (var d = 0u; d < TD; d++) {
        if (d * WX + id.x < QUADS) {
          let at = first + key * 3u * width + width + d * WX + id.x;
          dqkv[at] = vec4<T>(SCALE * dk[m * TD + d]);
          dqkv[at + width] = vec4<T>(dv[m * TD + d]);
        }
      }
    }
  }
}
