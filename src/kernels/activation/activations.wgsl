// Activations over f32, for kernels that say `// @include activations`.

// Exact GELU (Hendrycks & Gimpel 2016, eq. 1): x * Phi(x), Phi the standard normal distribution function.
// The tail Phi(-a), a >= 0, is exp(-a^2 / 2) * t * p(t) with t = 1 / (1 + 0.305 a): the form of Abramowitz & Stegun
// 7.1.26, whose five coefficients leave 1.5e-7 absolute but percents of relative error far out. These eight are our own
// minimax fit of the tail's *relative* error over 0 <= a <= 14 (Lawson's reweighted least squares on Chebyshev nodes):
// 9.4e-8. In f32: gelu is within 4e-7 absolute and, down to x = -5, 1e-6 relative.
// normal_ratio is t p(t) alone, which derivatives need too.
fn normal_ratio(a: f32) -> f32 {
  let t = 1.0f / (1.0f + 0.305f * a);
  var p = 0.036699194461107254f;
  p = p * t - 0.15298832952976227f;
  p = p * t + 0.1857169270515442f;
  p = p * t - 0.03797684237360954f;
  p = p * t + 0.12102168798446655f;
  p = p * t + 0.10342086106538773f;
  p = p * t + 0.12246681749820709f;
  p = p * t + 0.12163973599672318f;
  return t * p;
}

fn normal_tail(a: f32) -> f32 {
  return exp(-0.5f * a * a) * normal_ratio(a);
}

fn gelu(x: f32) -> f32 {
  let tail = normal_tail(abs(x));
  return x * select(tail, 1.0f - tail, x > 0.0f);
}

// CLIP's own approximation, x * sigmoid(1.702 x). The bound keeps exp finite: WGSL promises nothing about infinities.
fn quick_gelu(x: f32) -> f32 {
  return x / (1.0f + exp(min(-1.702f * x, 88.0f)));
}

// Slope 0.01, torch.nn.LeakyReLU's default and the adapters'.
fn leaky_relu(x: f32) -> f32 {
  return select(0.01f * x, x, x > 0.0f);
}
