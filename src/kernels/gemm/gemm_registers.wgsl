// GEMM from registers: each invocation computes TM x TN elements of y from vec4 loads along K, without barriers or
// workgroup memory. K must be a multiple of 4. Rows and columns past the end are read clamped and not stored.
// Grid: x = ceil(N / (TN * WX)), y = ceil(M / TM); invocations of a workgroup are neighbours along N and share their rows,
// so that compilers for CPUs see the loads of x as uniform.
// x [M, K] of X; w [N, K] of W; bias [N] f32; residual [M, N] of Y; y [M, N] of Y.
alias X = f32;
alias W = f32;
alias Y = f32;
const M: u32 = 290u;
const N: u32 = 1024u;
const K: u32 = 1024u;
const TM: u32 = 8u;
const TN: u32 = 8u;
const TILE: u32 = 64u; // TM * TN
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
  var a_start: array<u32, TM>;
  var b_start: array<u32, TN>;
  // @unroll
  for (var m = 0u; m < TM; m++) {
    a_start[m] = min(row + m, M - 1u) * (K / 4u);
  }
  // @unroll
  for (var n = 0u; n < TN; n++) {
    b_start[n] = min(col + n, N - 1u) * (K / 4u);
  }
  var sum: array<f32, TILE>;
  for (var k = 0u; k < K / 4u; k++) {
    var b: array<vec4<f32>, TN>;
    // @unroll
    for (var n = 0u; n < TN; n++) {
      b[n] = vec4<f32>(w[b_start[n] + k]);
    }
    // @unroll
    for (var m = 0u; m < TM; m++) {
      let a = vec4<f32>(x[a_start[m] + k]);
      // @unroll
      for (var n = 0u; n < TN; n++) {
        sum[m * TN + n] += dot(a, b[n]);
      }
    }
  }
  for (var m = 0u; m < TM; m++) {
    if (row + m < M) {
      for (var n = 0u; n < TN; n++) {
        if (col + n < N) {
          store(row + m, col + n, Y(epilogue(sum[m * TN + n], row + m, col + n)));
        }
      }
    }
  }
}
