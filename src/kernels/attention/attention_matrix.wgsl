// Attention on matrix units (the order of FlashAttention, Dao et al. 2022): a workgroup of GX x GY subgroups takes BQ queries of one
// head and BK keys at a time. Each subgroup computes its part of the scores in RM x RS matrices of FM x FN, then, of its own rows, the
// softmax, and then its part of the output in RM x RO matrices, which stay with it. One buffer holds the keys, then the values;
// while one is multiplied, the other is on its way to registers.
// A matrix's elements can be scaled in memory only. So the peak that exponentials refer to may stay SLACK behind the largest score: then
// most blocks leave the output as it is, and weights are at most e^SLACK, which f16 holds with all its digits.
// Queries and keys past the end are zero; their weights are 0 and their rows are not stored.
// Subgroups must have LANES invocations. Grid: x = ceil(TOKENS / BQ), y = HEADS, z = BATCH.
// qkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; y [BATCH, TOKENS, HEADS, SIZE] of T; lse [BATCH, HEADS, TOKENS] f32.
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
const BQ: u32 = 32u;
const BK: u32 = 64u; // a multiple of FK
const GX: u32 = 4u;
const GY: u32 = 1u;
const SUBGROUPS: u32 = 4u; // GX * GY
const LANES: u32 = 32u;
const THREADS: u32 = 128u; // SUBGROUPS * LANES
// The matrices: FM x FK times FK x FN.
const FM: u32 = 16u;
const FN: u32 = 16u;
const FK: u32 = 16u;
const RM: u32 = 2u; // BQ / GY / FM
const RS: u32 = 1u; // BK / GX / FN
const RO: u32 = 1u; // SIZE / GX / FN
const STEPS: u32 = 4u; // SIZE / FK
const HELD: u32 = 8u; // RM * STEPS
const RESULTS: u32 = 2u; // RM * RO
const ROWS: u32 = 8u; // BQ / SUBGROUPS
const EACH: u32 = 2u; // ceil(BK / LANES)
const LOADS: u32 = 8u; // vec4 that an invocation brings for a block: BK * QUADS / THREADS
// Lines of the tiles: 16 bytes longer than a head or a block, so that a matrix's lines spread over the banks.
const HEAD_LINE: u32 = 72u;
const WEIGHT_LINE: u32 = 72u;
const STAGE_LINE: u32 = 68u;
const Q_SIZE: u32 = 2304u; // BQ * HEAD_LINE
const KV_SIZE: u32 = 4608u; // BK * HEAD_LINE
const WEIGHTS: u32 = 2304u; // BQ * WEIGHT_LINE
const STAGE: u32 = 2176u; // BQ * STAGE_LINE
const SLACK: f32 = 8.0f;

@group(0) @binding(0) var<storage, read> qkv: array<vec4<T>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<T>>;
// @if LSE
@group(0) @binding(2) var<storage, read_write> lse: array<f32>;
// @end

var<workgroup> q_tile: array<F, Q_SIZE>;
var<workgroup> kv_tile: array<F, KV_SIZE>;
var<workgroup> weights: array<F, WEIGHTS>;
var<workgroup> stage: array<f32, STAGE>; // scores of a block; the output where it is scaled
var<workgroup> factors: array<f32, BQ>; // of the output's rows
var<workgroup> grown: array<u32, SUBGROUPS>; // whether a subgroup's peaks have

// Left, Right and Result, and what is done with them.
// @include attention_units

// Quad `i` of the tokens from `row` on, of queries, keys or values as `first` says: zero past the end.
fn load(i: u32, row: u32, first: u32) -> vec4<T> {
  let token = row + i / QUADS;
  if (token < TOKENS) {
    return qkv[first + token * 3u * HEADS * QUADS + i % QUADS];
  }
  return vec4<T>();
}

fn keep(i: u32, v: vec4<F>) {
  let at = i / QUADS * HEAD_LINE + i % QUADS * 4u;
  // @unroll
  for (var c = 0u; c < 4u; c++) {
    kv_tile[at + c] = v[c];
  }
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let base = group.x * BQ;
  let width = HEADS * QUADS;
  let first = group.z * TOKENS * 3u * width + group.y * QUADS;
  let keys = select(TOKENS, min(TOKENS, base + BQ), CAUSAL);
  // Where this subgroup's parts begin: rows of both products, keys of the scores, elements of the output.
  let top = subgroup / GX * (BQ / GY);
  let near = subgroup % GX * (BK / GX);
  let left = subgroup % GX * (4u * QUADS / GX);
  for (var i = local; i < BQ * QUADS; i += THREADS) {
    let v = vec4<F>(load(i, base, first));
    let at = i / QUADS * HEAD_LINE + i % QUADS * 4u;
    // @unroll
    for (var c = 0u; c < 4u; c++) {
      q_tile[at + c] = v[c];
    }
  }
  var next = array<vec4<T>, LOADS>();
  // @unroll
  for (var l = 0u; l < LOADS; l++) {
    next[l] = load(local + l * THREADS, 0u, first + width);
  }
  workgroupBarrier();
  var q: array<Left, HELD>;
  // @unroll
  for (var m = 0u; m < RM; m++) {
    // @unroll
    for (var k = 0u; k < STEPS; k++) {
      q[m * STEPS + k] = query_at(top + m * FM, k * FK);
    }
  }
  var sum: array<Result, RESULTS>;
  var peak: array<f32, ROWS>;
  var total: array<f32, ROWS>; // of this lane's keys
  // @unroll
  for (var r = 0u; r < ROWS; r++) {
    peak[r] = -3.0e38f;
    total[r] = 0.0f;
  }
  for (var slice = 0u; slice < keys; slice += BK) {
    // @unroll
    for (var l = 0u; l < LOADS; l++) {
      keep(local + l * THREADS, vec4<F>(next[l]));
    }
    workgroupBarrier();
    // @unroll
    for (var l = 0u; l < LOADS; l++) {
      next[l] = load(local + l * THREADS, slice, first + 2u * width);
    }
    // @unroll
    for (var n = 0u; n < RS; n++) {
      var score: array<Result, RM>;
      // @unroll
      for (var m = 0u; m < RM; m++) {
        score[m] = Result();
      }
      // @unroll
      for (var k = 0u; k < STEPS; k++) {
        let b = key_at(near + n * FN, k * FK);
        // @unroll
        for (var m = 0u; m < RM; m++) {
          score[m] = multiply_accumulate(q[m * STEPS + k], b, score[m]);
        }
      }
      // @unroll
      for (var m = 0u; m < RM; m++) {
        put(top + m * FM, near + n * FN, score[m]);
      }
    }
    workgroupBarrier();
    // @unroll
    for (var l = 0u; l < LOADS; l++) {
      keep(local + l * THREADS, vec4<F>(next[l]));
    }
    // @unroll
    for (var l = 0u; l < LOADS; l++) {
      next[l] = load(local + l * THREADS, slice + BK, first + width);
    }
    var grew = false;
    // @unroll
    for (var r = 0u; r < ROWS; r++) {
      let row = subgroup * ROWS + r;
      let limit = select(TOKENS, min(base + row + 1u, TOKENS), CAUSAL);
      var score: array<f32, EACH>;
      var largest = -3.0e38f;
      // @unroll
      for (var e = 0u; e < EACH; e++) {
        let key = lane + e * LANES;
        score[e] = -3.0e38f;
        if (key < BK && slice + key < limit) {
          score[e] = SCALE * stage[row * STAGE_LINE + key];
        }
        largest = max(largest, score[e]);
      }
      largest = subgroupMax(largest);
      // Every query sees the first key, so that `peak` is a score and hidden keys weigh nothing.
      var factor = 1.0f;
      if (slice == 0u || largest > peak[r] + SLACK) {
        factor = exp(peak[r] - largest);
        peak[r] = largest;
        total[r] *= factor;
        grew = true;
      }
      // @unroll
      for (var e = 0u; e < EACH; e++) {
        let key = lane + e * LANES;
        let weight = exp(score[e] - peak[r]);
        total[r] += weight;
        if (key < BK) {
          weights[row * WEIGHT_LINE + key] = F(weight);
        }
      }
      if (lane == 0u) {
        factors[row] = factor;
      }
    }
    if (lane == 0u) {
      grown[subgroup] = u32(grew && slice > 0u);
    }
    let peaks = workgroupUniformLoad(&grown); // a barrier, too
    var scaled = 0u;
    // @unroll
    for (var s = 0u; s < SUBGROUPS; s++) {
      scaled |= peaks[s];
    }
    if (scaled != 0u) {
      // @unroll
      for (var m = 0u; m < RM; m++) {
        // @unroll
        for (var n = 0u; n < RO; n++) {
          put(top + m * FM, left + n * FN, sum[m * RO + n]);
        }
      }
      workgroupBarrier();
      for (var i = local; i < BQ * 4u * QUADS; i += THREADS) {
        let row = i / (4u * QUADS);
        stage[row * STAGE_LINE + i % (4u * QUADS)] *= factors[row];
      }
      workgroupBarrier();
      // @unroll
      for (var m = 0u; m < RM; m++) {
        // @unroll
        for (var n = 0u; n < RO; n++) {
          sum[m * RO + n] = take(top + m * FM, left + n * FN);
        }
      }
    }
    for (var k = 0u; k < BK; k += FK) {
      var a: array<Left, RM>;
      // @unroll
      for (var m = 0u; m < RM; m++) {
        a[m] = weights_at(top + m * FM, k);
      }
      // @unroll
      for (var n = 0u; n < RO; n++) {
        let b = value_at(k, left + n * FN);
        // @unroll
        for (var m = 0u; m < RM; m++) {
          sum[m * RO + n] = multiply_accumulate(a[m], b, sum[m * RO + n]);
        }
      }
    }
    workgroupBarrier();
  }
  // @unroll
  for (var m = 0u; m < RM; m++) {
    // @unroll
    for (var n = 0u; n < RO; n++) {
      put(top + m * FM, left + n * FN, sum[m * RO + n]);
    }
  }
  // @unroll
  for (var r = 0u; r < ROWS; r++) {
    let row = subgroup * ROWS + r;
    let whole = subgroupAdd(total[r]);
    if (lane == 0u) {
      factors[row] = 1.0f / whole;
      // @if LSE
      if (base + row < TOKENS) {
        lse[(group.z * HEADS + group.y) * TOKENS + base + row] = peak[r] + log(whole);
      }
      // @end
    }
  }
  workgroupBarrier();
  for (var i = local; i < BQ * QUADS; i += THREADS) {
    let row = i / QUADS;
    let at = row * STAGE_LINE + i % QUADS * 4u;
    if (base + row < TOKENS) {
      let v = factors[row] * vec4<f32>(stage[at], stage[at + 1u], stage[at + 2u], stage[at + 3u]);
      y[(group.z * TOKENS + base + row) * width + group.y * QUADS + i % QUADS] = vec4<T>(v);
    }
  }
}
