// Gradient of attention on matrix units, one half of it: by the queries or, with KEYS, by the keys and values. A workgroup of GX x GY
// subgroups takes BR of these, its rows, of one head, and sweeps over the keys or the queries in slices of BS. With 1 the queries or
// keys and 2 what dp takes (dy or the values), each subgroup computes
//   its part of the scores  rows_1 slice_1^T  and of  dp = rows_2 slice_2^T  in RM x RS matrices of FM x FN,
//   of its own rows p and ds,
//   its part of the sums  ds slice_1  (dq or dk) and, with KEYS,  p slice_2  (dv) in RM x RO matrices, which stay with it.
// What lies past the end is zero, weighs nothing and is not stored. While a slice is multiplied, the next one is on its way to registers.
// The queries' dispatch is the first: it leaves delta = dy . y to the keys'.
// Subgroups must have LANES invocations. Grid: x = ceil(TOKENS / BR), y = HEADS, z = BATCH.
// qkv, dqkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; y, dy [BATCH, TOKENS, HEADS, SIZE] of T; lse, delta [BATCH, HEADS, TOKENS] f32.
enable subgroups;
enable chromium_experimental_subgroup_matrix;
// What must be the same in a subgroup depends on subgroup_id, which the analysis takes for different everywhere.
diagnostic(off, chromium.subgroup_matrix_uniformity);
alias T = f32;
alias F = f32; // of the factors in workgroup memory and in matrices
const TOKENS: u32 = 290u;
const HEADS: u32 = 16u;
const QUADS: u32 = 16u; // SIZE / 4
const SCALE: f32 = 0.125f;
const CAUSAL: bool = false;
const BR: u32 = 32u;
const BS: u32 = 32u; // a multiple of FK
const GX: u32 = 2u;
const GY: u32 = 2u;
const LANES: u32 = 32u;
const THREADS: u32 = 128u; // GX * GY * LANES
// The matrices: FM x FK times FK x FN.
const FM: u32 = 16u;
const FN: u32 = 16u;
const FK: u32 = 16u;
const RM: u32 = 1u; // BR / GY / FM
const RS: u32 = 1u; // BS / GX / FN
const RO: u32 = 2u; // SIZE / GX / FN
const STEPS: u32 = 4u; // SIZE / FK
const HELD: u32 = 4u; // RM * STEPS
const RESULTS: u32 = 2u; // RM * RO
const ROWS: u32 = 8u; // BR / GX / GY
const EACH: u32 = 1u; // ceil(BS / LANES)
const LOADS: u32 = 4u; // vec4 that an invocation brings for half a slice: BS * QUADS / THREADS
// Lines of the tiles: 16 bytes longer than a head or a slice, so that a matrix's lines spread over the banks.
const HEAD_LINE: u32 = 72u;
const WEIGHT_LINE: u32 = 40u;
const SCORE_LINE: u32 = 36u;
const SUM_LINE: u32 = 68u;
const ROW_TILE: u32 = 2304u; // BR * HEAD_LINE
const SLICE_TILE: u32 = 2304u; // BS * HEAD_LINE
const WEIGHTS: u32 = 1280u; // BR * WEIGHT_LINE
const SCORES: u32 = 1152u; // BR * SCORE_LINE
const STAGE: u32 = 2304u; // max(2 * SCORES, BR * SUM_LINE)

@group(0) @binding(0) var<storage, read> qkv: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<T>>;
@group(0) @binding(2) var<storage, read> lse: array<f32>;
@group(0) @binding(3) var<storage, read_write> dqkv: array<vec4<T>>;
// @if KEYS
@group(0) @binding(4) var<storage, read> delta: array<f32>;
// @else
@group(0) @binding(4) var<storage, read_write> delta: array<f32>;
@group(0) @binding(5) var<storage, read> y: array<vec4<T>>;
// @end

var<workgroup> rows_1: array<F, ROW_TILE>;
var<workgroup> rows_2: array<F, ROW_TILE>;
var<workgroup> slice_1: array<F, SLICE_TILE>;
var<workgroup> slice_2: array<F, SLICE_TILE>;
var<workgroup> ds_tile: array<F, WEIGHTS>;
// @if KEYS
var<workgroup> p_tile: array<F, WEIGHTS>;
// @end
var<workgroup> stage: array<f32, STAGE>; // scores, then dp; at the end the sums

// Left, Right and Result, and what is done with them.
// @include attention_backward_units

// Quad `i` of the tokens from `row` on, of queries, keys or values as `first` says: zero past the end.
fn packed(i: u32, row: u32, first: u32) -> vec4<T> {
  let token = row + i / QUADS;
  if (token < TOKENS) {
    return qkv[first + token * 3u * HEADS * QUADS + i % QUADS];
  }
  return vec4<T>();
}

// The same of dy.
fn output_gradient(i: u32, row: u32, first: u32) -> vec4<T> {
  let token = row + i / QUADS;
  if (token < TOKENS) {
    return dy[first + token * HEADS * QUADS + i % QUADS];
  }
  return vec4<T>();
}

// 1 of a slice, and 2; `first` in qkv and in dy.
fn load_1(i: u32, row: u32, first: vec2<u32>) -> vec4<T> {
  // @if KEYS
  return packed(i, row, first.x);
  // @else
  return packed(i, row, first.x + HEADS * QUADS);
  // @end
}

fn load_2(i: u32, row: u32, first: vec2<u32>) -> vec4<T> {
  // @if KEYS
  return output_gradient(i, row, first.y);
  // @else
  return packed(i, row, first.x + 2u * HEADS * QUADS);
  // @end
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let base = group.x * BR;
  let width = HEADS * QUADS;
  let first = vec2<u32>(group.z * TOKENS * 3u * width, group.z * TOKENS * width) + group.y * QUADS;
  let line = (group.z * HEADS + group.y) * TOKENS;
  // Where this subgroup's parts begin: rows of all products, columns of the scores, elements of the sums.
  let top = subgroup / GX * (BR / GY);
  let near = subgroup % GX * (BS / GX);
  let left = subgroup % GX * (4u * QUADS / GX);
  for (var i = local; i < BR * QUADS; i += THREADS) {
    // @if KEYS
    let one = vec4<F>(packed(i, base, first.x + width));
    let two = vec4<F>(packed(i, base, first.x + 2u * width));
    // @else
    let one = vec4<F>(packed(i, base, first.x));
    let two = vec4<F>(output_gradient(i, base, first.y));
    // @end
    let at = i / QUADS * HEAD_LINE + i % QUADS * 4u;
    // @unroll
    for (var c = 0u; c < 4u; c++) {
      rows_1[at + c] = one[c];
      rows_2[at + c] = two[c];
    }
  }
  // Of a causal tower, the queries before the workgroup's first key see none of its keys; nor do its queries see keys after the last.
  // @if KEYS
  let begin = select(0u, base, CAUSAL);
  let end = TOKENS;
  // @else
  let begin = 0u;
  let end = select(TOKENS, min(TOKENS, base + BR), CAUSAL);
  var log_sum: array<f32, ROWS>;
  var dot_y: array<f32, ROWS>;
  // @unroll
  for (var r = 0u; r < ROWS; r++) {
    let query = base + subgroup * ROWS + r;
    let token = min(query, TOKENS - 1u);
    var sum = 0.0f;
    for (var c = lane; c < QUADS; c += LANES) {
      let at = first.y + token * width + c;
      sum += dot(vec4<f32>(dy[at]), vec4<f32>(y[at]));
    }
    sum = subgroupAdd(sum);
    if (lane == 0u && query < TOKENS) {
      delta[line + query] = sum;
    }
    log_sum[r] = lse[line + token];
    dot_y[r] = sum;
  }
  // @end
  var next_1 = array<vec4<T>, LOADS>();
  var next_2 = array<vec4<T>, LOADS>();
  // @unroll
  for (var l = 0u; l < LOADS; l++) {
    next_1[l] = load_1(local + l * THREADS, begin, first);
    next_2[l] = load_2(local + l * THREADS, begin, first);
  }
  workgroupBarrier();
  var a_1: array<Left, HELD>;
  var a_2: array<Left, HELD>;
  // @unroll
  for (var m = 0u; m < RM; m++) {
    // @unroll
    for (var k = 0u; k < STEPS; k++) {
      a_1[m * STEPS + k] = rows_1_at(top + m * FM, k * FK);
      a_2[m * STEPS + k] = rows_2_at(top + m * FM, k * FK);
    }
  }
  var sum_1: array<Result, RESULTS>;
  // @if KEYS
  var sum_2: array<Result, RESULTS>;
  // @end
  for (var slice = begin; slice < end; slice += BS) {
    // @unroll
    for (var l = 0u; l < LOADS; l++) {
      let i = local + l * THREADS;
      let at = i / QUADS * HEAD_LINE + i % QUADS * 4u;
      let one = vec4<F>(next_1[l]);
      let two = vec4<F>(next_2[l]);
      // @unroll
      for (var c = 0u; c < 4u; c++) {
        slice_1[at + c] = one[c];
        slice_2[at + c] = two[c];
      }
    }
    workgroupBarrier();
    // @unroll
    for (var l = 0u; l < LOADS; l++) {
      next_1[l] = load_1(local + l * THREADS, slice + BS, first);
      next_2[l] = load_2(local + l * THREADS, slice + BS, first);
    }
    // @unroll
    for (var n = 0u; n < RS; n++) {
      var score: array<Result, RM>;
      var dp: array<Result, RM>;
      // @unroll
      for (var m = 0u; m < RM; m++) {
        score[m] = Result();
        dp[m] = Result();
      }
      // @unroll
      for (var k = 0u; k < STEPS; k++) {
        let b_1 = slice_1_across(near + n * FN, k * FK);
        let b_2 = slice_2_across(near + n * FN, k * FK);
        // @unroll
        for (var m = 0u; m < RM; m++) {
          score[m] = multiply_accumulate(a_1[m * STEPS + k], b_1, score[m]);
          dp[m] = multiply_accumulate(a_2[m * STEPS + k], b_2, dp[m]);
        }
      }
      // @unroll
      for (var m = 0u; m < RM; m++) {
        let at = (top + m * FM) * SCORE_LINE + near + n * FN;
        put_score(at, score[m]);
        put_score(SCORES + at, dp[m]);
      }
    }
    workgroupBarrier();
    // @unroll
    for (var e = 0u; e < EACH; e++) {
      let col = lane + e * LANES;
      // @if KEYS
      let query = slice + col;
      let log_sum = lse[line + min(query, TOKENS - 1u)];
      let dot_y = delta[line + min(query, TOKENS - 1u)];
      // @end
      if (col < BS) {
        // @unroll
        for (var r = 0u; r < ROWS; r++) {
          let row = subgroup * ROWS + r;
          let score = SCALE * stage[row * SCORE_LINE + col];
          let dp = stage[SCORES + row * SCORE_LINE + col];
          // @if KEYS
          let seen = query < TOKENS && (!CAUSAL || query >= base + row);
          let p = select(0.0f, exp(min(score - log_sum, 0.0f)), seen);
          p_tile[row * WEIGHT_LINE + col] = F(p);
          ds_tile[row * WEIGHT_LINE + col] = F(p * (dp - dot_y));
          // @else
          let seen = slice + col < select(TOKENS, min(base + row + 1u, TOKENS), CAUSAL);
          let p = select(0.0f, exp(min(score - log_sum[r], 0.0f)), seen);
          ds_tile[row * WEIGHT_LINE + col] = F(p * (dp - dot_y[r]));
          // @end
        }
      }
    }
    workgroupBarrier();
    for (var k = 0u; k < BS; k += FK) {
      // @unroll
      for (var m = 0u; m < RM; m++) {
        let ds = ds_at(top + m * FM, k);
        // @if KEYS
        let p = p_at(top + m * FM, k);
        // @end
        // @unroll
        for (var n = 0u; n < RO; n++) {
          let b_1 = slice_1_along(k, left + n * FN);
          sum_1[m * RO + n] = multiply_accumulate(ds, b_1, sum_1[m * RO + n]);
          // @if KEYS
          let b_2 = slice_2_along(k, left + n * FN);
          sum_2[m * RO + n] = multiply_accumulate(p, b_2, sum_2[m * RO + n]);
          // @end
        }
      }
    }
    workgroupBarrier();
  }
  // @unroll
  for (var m = 0u; m < RM; m++) {
    // @unroll
    for (var n = 0u; n < RO; n++) {
      put_sum((top + m * FM) * SUM_LINE + left + n * FN, sum_1[m * RO + n]);
    }
  }
  workgroupBarrier();
  for (var i = local; i < BR * QUADS; i += THREADS) {
    let token = base + i / QUADS;
    if (token < TOKENS) {
      let at = first.x + token * 3u * width + i % QUADS;
      // @if KEYS
      dqkv[at + width] = vec4<T>(SCALE * staged(i));
      // @else
      dqkv[at] = vec4<T>(SCALE * staged(i));
      // @end
    }
  }
  // @if KEYS
  workgroupBarrier();
  // @unroll
  for (var m = 0u; m < RM; m++) {
    // @unroll
    for (var n = 0u; n < RO; n++) {
      put_sum((top + m * FM) * SUM_LINE + left + n * FN, sum_2[m * RO + n]);
    }
  }
  workgroupBarrier();
  for (var i = local; i < BR * QUADS; i += THREADS) {
    let token = base + i / QUADS;
    if (token < TOKENS) {
      dqkv[first.x + token * 3u * width + 2u * width + i % QUADS] = vec4<T>(staged(i));
    }
  }
  // @end
}

// Quad `i` of the rows' sums.
fn staged(i: u32) -> vec4<f32> {
  let at = i / QUADS * SUM_LINE + i % QUADS * 4u;
  return vec4<f32>(stage[at], stage[at + 1u], stage[at + 2u], stage[at + 3u]);
}
