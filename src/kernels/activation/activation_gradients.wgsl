// Derivatives of `activations.wgsl`, for kernels that say `// @include activation_gradients` after it.

// gelu'(x) = Phi(x) + x phi(x), phi(x) = exp(-x^2 / 2) / sqrt(2 pi). With Phi(-a) = exp(-a^2 / 2) normal_ratio(a) both
// terms share the exponential, for x = -a <= 0: gelu'(-a) = exp(-a^2 / 2) (normal_ratio(a) - a / sqrt(2 pi)); and
// gelu'(a) = 1 - gelu'(-a), as Phi(a) = 1 - Phi(-a). Far out the difference is a multiple of its terms, so the relative
// accuracy of the fit stays: measured on SwiftShader, within 3e-7 absolute and, for -8 <= x <= -1, 3e-6 relative (the zero is at x = -0.7518).
fn gelu_gradient(x: f32) -> f32 {
  let a = abs(x);
  let tail = exp(-0.5f * a * a) * (normal_ratio(a) - 0.3989422804014327f * a);
  return select(tail, 1.0f - tail, x > 0.0f);
}

// s = 1 / (1 + exp(-1.702 x)): d/dx (x s) = s + 1.702 x s (1 - s). Both s and 1 - s come from exp(-|1.702 x|), which
// neither overflows nor cancels.
fn quick_gelu_gradient(x: f32) -> f32 {
  let e = exp(-1.702f * abs(x));
  let large = 1.0f / (1.0f + e);
  let small = e * large;
  let s = select(small, large, x > 0.0f);
  return s * (1.0f + 1.702f * x * select(large, small, x > 0.0f));
}

// Asks only for the sign, which y has where x has it: x or y will do. At 0 the slope is 0.01, as torch has it.
fn leaky_relu_gradient(x: f32) -> f32 {
  return select(0.01f, 1.0f, x > 0.0f);
}
