// GEMM through workgroup memory: a workgroup of WX x WY computes a BM x BN tile of y, an invocation 4 QM x 4 QN of it, K in slices of
// BK. While a slice is multiplied, the next one is on its way to registers. Sums over SPLIT terms: with more than one split
// (grid z), y is f32 [splits, M, N] and `gemm_split_sum` adds the parts up.
// What the vec4 loads run along must be a multiple of 4: K for x [M, K] and w [N, K], M for x [K, M] (X_KM), N for
// w [K, N] (W_KN). Rows, columns and terms past the end count as zero and are not stored. Y_QUADS: y has rows of whole vec4.
// Grid: x = ceil(N / BN), y = ceil(M / BM), z = ceil(K / SPLIT).
// x [M, K] or [K, M] of X; w [N, K] or [K, N] of W; bias [N] f32; residual [M, N] of Y; y [M, N] of Y.
alias X = f32;
alias W = f32;
alias Y = f32;
alias T = f32; // of the tiles in workgroup memory
const M: u32 = 290u;
const N: u32 = 1024u;
const K: u32 = 1024u;
const SPLIT: u32 = 1024u; // a multiple of BK
const BM: u32 = 128u;
const BN: u32 = 64u;
const BK: u32 = 16u;
const WX: u32 = 16u;
const WY: u32 = 16u;
const SIZE: u32 = 256u; // WX * WY
const QM: u32 = 2u; // BM / WY / 4
const QN: u32 = 1u; // BN / WX / 4
const SUMS: u32 = 8u; // 4 * QM * QN
const A_LOADS: u32 = 2u; // vec4 of x that an invocation brings for a slice: BM * BK / 4 / SIZE
const B_LOADS: u32 = 1u;
// Lines of the tiles: one vec4 longer than BM or BN, so that stores that transpose spread over the banks.
const A_LINE: u32 = 33u;
const B_LINE: u32 = 17u;
const A_SIZE: u32 = 528u; // BK * A_LINE
const B_SIZE: u32 = 272u;

// @include activations

@group(0) @binding(0) var<storage, read> x: array<vec4<X>>;
@group(0) @binding(1) var<storage, read> w: array<vec4<W>>;
// @if BIAS
@group(0) @binding(2) var<storage, read> bias: array<f32>;
// @end
// @if RESIDUAL
@group(0) @binding(3) var<storage, read> residual: array<Y>;
// @end
// @if Y_QUADS
@group(0) @binding(4) var<storage, read_write> y: array<vec4<Y>>;
// @else
@group(0) @binding(4) var<storage, read_write> y: array<Y>;
// @end

// Slices of x and w, term by term.
var<workgroup> a_tile: array<vec4<T>, A_SIZE>;
var<workgroup> b_tile: array<vec4<T>, B_SIZE>;

// @include gemm_epilogue

// @include gemm_store

// @include gemm_loads

// Puts what load `i` brought into the tile, term by term.
fn keep_a(i: u32, v: vec4<T>) {
  // @if X_KM
  a_tile[i / (BM / 4u) * A_LINE + i % (BM / 4u)] = v;
  // @else
  let line = i / (BK / 4u);
  let at = i % (BK / 4u) * 4u * A_LINE + line / 4u;
  // @unroll
  for (var c = 0u; c < 4u; c++) {
    a_tile[at + c * A_LINE][line % 4u] = v[c];
  }
  // @end
}

fn keep_b(i: u32, v: vec4<T>) {
  // @if W_KN
  b_tile[i / (BN / 4u) * B_LINE + i % (BN / 4u)] = v;
  // @else
  let line = i / (BK / 4u);
  let at = i % (BK / 4u) * 4u * B_LINE + line / 4u;
  // @unroll
  for (var c = 0u; c < 4u; c++) {
    b_tile[at + c * B_LINE][line % 4u] = v[c];
  }
  // @end
}

@compute @workgroup_size(WX, WY)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row0 = group.y * BM;
  let col0 = group.x * BN;
  let first = group.z * SPLIT;
  let end = min(first + SPLIT, K);
  var sum = array<vec4<f32>, SUMS>();
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
    // An invocation's rows are groups of 4, WY groups apart, its columns likewise: neighbours then read neighbouring vec4.
    for (var s = 0u; s < BK; s++) {
      var a = array<vec4<f32>, QM>();
      // @unroll
      for (var p = 0u; p < QM; p++) {
        a[p] = vec4<f32>(a_tile[s * A_LINE + p * WY + id.y]);
      }
      // @unroll
      for (var q = 0u; q < QN; q++) {
        let b = vec4<f32>(b_tile[s * B_LINE + q * WX + id.x]);
        // @unroll
        for (var p = 0u; p < QM; p++) {
          // @unroll
          for (var i = 0u; i < 4u; i++) {
            sum[(p * 4u + i) * QN + q] += a[p][i] * b;
          }
        }
      }
    }
    workgroupBarrier();
  }
  let part = group.z * M; // rows before this part's
  // @unroll
  for (var p = 0u; p < QM; p++) {
    // @unroll
    for (var i = 0u; i < 4u; i++) {
      let row = row0 + (p * WY + id.y) * 4u + i;
      // @unroll
      for (var q = 0u; q < QN; q++) {
        let col = col0 + (q * WX + id.x) * 4u;
        let v = sum[(p * 4u + i) * QN + q];
        // @if Y_QUADS
        if (row < M && col < N) {
          store(part + row, col, vec4<Y>(
            Y(epilogue(v[0], row, col)),
            Y(epilogue(v[1], row, col + 1u)),
            Y(epilogue(v[2], row, col + 2u)),
            Y(epilogue(v[3], row, col + 3u)),
          ));
        }
        // @else
        // @unroll
        for (var n = 0u; n < 4u; n++) {
          if (row < M && col + n < N) {
            store(part + row, col + n, Y(epilogue(v[n], row, col + n)));
          }
        }
        // @end
      }
    }
  }
}
