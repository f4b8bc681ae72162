// GEMM on matrix units: a workgroup of GX x GY subgroups computes a BM x BN tile of y, each subgroup its part in RM x RN matrices of
// FM x FN, K in slices of BK through workgroup memory. While a slice is multiplied, the next one is on its way to registers.
// Sums over SPLIT terms: with more than one split (grid z), y is f32 [splits, M, N] and `gemm_split_sum` adds the parts up.
// What the vec4 loads run along must be a multiple of 4: K for x [M, K] and w [N, K], M for x [K, M] (X_KM), N for
// w [K, N] (W_KN). Rows, columns and terms past the end count as zero and are not stored.
// Subgroups must have LANES invocations. Grid: x = ceil(N / BN), y = ceil(M / BM), z = ceil(K / SPLIT).
// x [M, K] or [K, M] of X; w [N, K] or [K, N] of W; bias [N] f32; residual [M, N] of Y; y [M, N] of Y.
enable subgroups;
enable chromium_experimental_subgroup_matrix;
// What must be the same in a subgroup depends on subgroup_id, which the analysis takes for different everywhere.
diagnostic(off, chromium.subgroup_matrix_uniformity);
alias X = f32;
alias W = f32;
alias Y = f32;
alias T = f32; // of the factors in workgroup memory and in matrices
const M: u32 = 290u;
const N: u32 = 1024u;
const K: u32 = 1024u;
const SPLIT: u32 = 1024u; // a multiple of BK
const BM: u32 = 64u;
const BN: u32 = 64u;
const BK: u32 = 32u; // a multiple of FK
const GX: u32 = 2u;
const GY: u32 = 2u;
const LANES: u32 = 32u;
const SIZE: u32 = 128u; // GX * GY * LANES
// The matrices: FM x FK times FK x FN.
const FM: u32 = 16u;
const FN: u32 = 16u;
const FK: u32 = 16u;
const RM: u32 = 2u; // BM / GY / FM
const RN: u32 = 2u; // BN / GX / FN
const RESULTS: u32 = 4u; // RM * RN
const A_LOADS: u32 = 4u; // vec4 of x that an invocation brings for a slice: BM * BK / 4 / SIZE
const B_LOADS: u32 = 4u;
// Lines of the tiles, which lie as x and w do: 16 bytes longer than a slice or tile, so that a matrix's lines spread over the banks.
const A_LINE: u32 = 40u;
const B_LINE: u32 = 40u;
const A_SIZE: u32 = 2560u;
const B_SIZE: u32 = 2560u;
const STAGE: u32 = 1024u; // FM * FN * GX * GY

// @include activations

@group(0) @binding(0) var<storage, read> x: array<vec4<X>>;
@group(0) @binding(1) var<storage, read> w: array<vec4<W>>;
// @if BIAS
@group(0) @binding(2) var<storage, read> bias: array<f32>;
// @end
// @if RESIDUAL
@group(0) @binding(3) var<storage, read> residual: array<Y>;
// @end
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

var<workgroup> a_tile: array<T, A_SIZE>;
var<workgroup> b_tile: array<T, B_SIZE>;
// A finished matrix of each subgroup, row by row: only from memory can its elements be told apart.
var<workgroup> stage: array<f32, STAGE>;

// @include gemm_epilogue

// @include gemm_store

// Left, Right and Result, and what is done with them.
// @include subgroup_matrix

// @include gemm_loads

// Puts what load `i` brought where the tile has it: as x and w have it.
fn keep_a(i: u32, v: vec4<T>) {
  // @if X_KM
  let at = i / (BM / 4u) * A_LINE + i % (BM / 4u) * 4u;
  // @else
  let at = i / (BK / 4u) * A_LINE + i % (BK / 4u) * 4u;
  // @end
  // @unroll
  for (var c = 0u; c < 4u; c++) {
    a_tile[at + c] = v[c];
  }
}

fn keep_b(i: u32, v: vec4<T>) {
  // @if W_KN
  let at = i / (BN / 4u) * B_LINE + i % (BN / 4u) * 4u;
  // @else
  let at = i / (BK / 4u) * B_LINE + i % (BK / 4u) * 4u;
  // @end
  // @unroll
  for (var c = 0u; c < 4u; c++) {
    b_tile[at + c] = v[c];
  }
}

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let row0 = group.y * BM;
  let col0 = group.x * BN;
  let first = group.z * SPLIT;
  let end = min(first + SPLIT, K);
  // Where this subgroup's part of the tile begins.
  let top = subgroup / GX * (BM / GY);
  let left = subgroup % GX * (BN / GX);
  var sum: array<Result, RESULTS>;
  var a_next = array<vec4<X>, A_LOADS>();
  var b_next = array<vec4<W>, B_LOADS>();
  // @unroll
  for (var l = 0u; l < A_LOADS; l++) {
    a_next[l] = load_a(local + l * SIZE, row0, first, end);
  }
  // @unroll
  for (var l = 0u; l < B_LOADS; l++) {
    b_next[l] = load_b(local + l * SIZE, col0, first, end);
  }
  for (var slice = first; slice < end; slice += BK) {
    // @unroll
    for (var l = 0u; l < A_LOADS; l++) {
      keep_a(local + l * SIZE, vec4<T>(a_next[l]));
    }
    // @unroll
    for (var l = 0u; l < B_LOADS; l++) {
      keep_b(local + l * SIZE, vec4<T>(b_next[l]));
    }
    workgroupBarrier();
    // @unroll
    for (var l = 0u; l < A_LOADS; l++) {
      a_next[l] = load_a(local + l * SIZE, row0, slice + BK, end);
    }
    // @unroll
    for (var l = 0u; l < B_LOADS; l++) {
      b_next[l] = load_b(local + l * SIZE, col0, slice + BK, end);
    }
    for (var k = 0u; k < BK; k += FK) {
      // @unroll
      for (var n = 0u; n < RN; n++) {
        let b = right_at(left + n * FN, k);
        // @unroll
        for (var m = 0u; m < RM; m++) {
          sum[m * RN + n] = multiply_accumulate(left_at(top + m * FM, k), b, sum[m * RN + n]);
        }
      }
    }
    workgroupBarrier();
  }
  let part = group.z * M; // rows before this part's
  let staged = subgroup * FM * FN;
  // @unroll
  for (var m = 0u; m < RM; m++) {
    // @unroll
    for (var n = 0u; n < RN; n++) {
      put(staged, sum[m * RN + n]);
      workgroupBarrier();
      for (var e = lane; e < FM * FN; e += LANES) {
        let row = row0 + top + m * FM + e / FN;
        let col = col0 + left + n * FN + e % FN;
        if (row < M && col < N) {
          store(part + row, col, Y(epilogue(stage[staged + e], row, col)));
        }
      }
      workgroupBarrier();
    }
  }
}
