// What every GEMM does with a finished sum: bias, activation, residual. Included by the variants, which declare N and the
// bindings `bias` and `residual`.
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
  // @if RESIDUAL
  v += f32(residual[row * N + col]);
  // @end
  return v;
}
