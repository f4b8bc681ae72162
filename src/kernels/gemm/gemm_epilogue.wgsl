// What every GEMM does with a finished sum: bias, activation, residual, each with its factor (MIX). Included by the variants, which
// declare N and the bindings `bias` and `residual`.
// @if MIX
const OWN: f32 = 0.1f;
const REST: f32 = 0.8f;
// @end

fn epilogue(sum: f32, row: u32, col: u32) -> f32 {
  var v = sum;
  // @if BIAS
  v += bias[col];
  // @end
  // @if GELU
  v = gelu(v);
  // @end
  // @if QUICK_GELU
  v = quick_gelu(v);
  // @end
  // @if LEAKY_RELU
  v = leaky_relu(v);
  // @end
  // @if MIX
  v = OWN * v + REST * f32(residual[row * N + col]);
  // @else
  // @if RESIDUAL
  v += f32(residual[row * N + col]);
  // @end
  // @end
  return v;
}
