// GEMM from registers for w [K, N]: each invocation computes TM x TN elements of y as vec4 along N, without barriers or
// workgroup memory. N must be a multiple of 4, and so must be what x is read along: K for [M, K], M for [K, M] (X_KM). Rows
// and columns past the end are read clamped and not stored.
// Grid: x = ceil(N / (TN * WX)), y = ceil(M / TM); invocations of a workgroup are neighbours along N and share their rows.
// x [M, K] or [K, M] of X; w [K, N] of W; bias [N] f32; residual [M, N] of Y; y [M, N] of Y.
alias X = f32;
alias W = f32;
alias Y = f32;
const M: u32 = 290u;
const N: u32 = 1024u;
const K: u32 = 1024u;
const TM: u32 = 8u; // with X_KM a multiple of 4
const TN: u32 = 8u; // a multiple of 4
const QM: u32 = 2u; // TM / 4
const QN: u32 = 2u; // TN / 4
const TILE: u32 = 16u; // TM * QN
const WX: u32 = 8u;

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

// @include gemm_epilogue

// @include gemm_store

@compute @workgroup_size(WX)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = group.y * TM;
  let col = (group.x * WX + local) * TN;
  if (row >= M || col >= N) {
    return;
  }
  var b_start: array<u32, QN>;
  // @unroll
  for (var q = 0u; q < QN; q++) {
    b_start[q] = min(col / 4u + q, N / 4u - 1u);
  }
  var sum: array<vec4<f32>, TILE>;
  // @if X_KM
  var a_quad: array<u32, QM>;
  // @unroll
  for (var p = 0u; p < QM; p++) {
    a_quad[p] = min(row / 4u + p, M / 4u - 1u);
  }
  for (var k = 0u; k < K; k++) {
    var b: array<vec4<f32>, QN>;
    // @unroll
    for (var q = 0u; q < QN; q++) {
      b[q] = vec4<f32>(w[b_start[q] + k * (N / 4u)]);
    }
    // @unroll
    for (var p = 0u; p < QM; p++) {
      let a = vec4<f32>(x[a_quad[p] + k * (M / 4u)]);
      // @unroll
      for (var i = 0u; i < 4u; i++) {
        // @unroll
        for (var q = 0u; q < QN; q++) {
          sum[(p * 4u + i) * QN + q] += a[i] * b[q];
        }
      }
    }
  }
  // @else
  var a_start: array<u32, TM>;
  // @unroll
  for (var m = 0u; m < TM; m++) {
    a_start[m] = min(row + m, M - 1u) * (K / 4u);
  }
  for (var k = 0u; k < K / 4u; k++) {
    var b: array<vec4<f32>, TN>;
    // @unroll
    for (var i = 0u; i < 4u; i++) {
      // @unroll
      for (var q = 0u; q < QN; q++) {
        b[i * QN + q] = vec4<f32>(w[b_start[q] + (k * 4u + i) * (N / 4u)]);
      }
    }
    // @unroll
    for (var m = 0u; m < TM; m++) {
      let a = vec4<f32>(x[a_start[m] + k]);
      // One update of a sum for four terms: 1.3 to 1.7 times as fast on SwiftShader as four updates (290 x 1024 x 1024, f32,
      // 2 busy cores, November 2026).
      // @unroll
      for (var q = 0u; q < QN; q++) {
        sum[m * QN + q] +=
          a[0] * b[q] + a[1] * b[QN + q] + a[2] * b[2u * QN + q] + a[3] * b[3u * QN + q];
      }
    }
  }
  // @end
  for (var m = 0u; m < TM; m++) {
    if (row + m < M) {
      for (var n = 0u; n < TN; n++) {
        if (col + n < N) {
          store(row + m, col + n, Y(epilogue(sum[m * QN + n / 4u][n % 4u], row + m, col + n)));
        }
      }
    }
  }
}
