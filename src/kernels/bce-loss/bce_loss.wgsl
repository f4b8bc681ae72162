// Binary cross-entropy of class 1 and its gradient, one invocation an image; the first also sums the loss.
// Grid: ceil(B / 64) workgroups, folded into x and y.
// p, gradient [B, 2]; labels, weights [B]; scale, loss [1]; all f32.
const B: u32 = 16u;
const TINY: f32 = 1.1754944e-38f; // 2^-126: what is smaller counts as 0

@group(0) @binding(0) var<storage, read> p: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> loss: array<f32>;
@group(0) @binding(5) var<storage, read_write> gradient: array<f32>;

fn bounded_log(x: f32) -> f32 {
  return select(-100.0f, log(max(x, TINY)), x >= TINY);
}

fn loss_of(i: u32) -> f32 {
  let weight = weights[i];
  if (weight == 0.0f) {
    return 0.0f;
  }
  let t = labels[i];
  // @if LOGITS
  let x = p[2u * i + 1u];
  return weight * (max(x, 0.0f) - x * t + log(1.0f + exp(-abs(x))));
  // @else
  let x = clamp(p[2u * i + 1u], 0.0f, 1.0f);
  return -weight * (t * bounded_log(x) + (1.0f - t) * bounded_log(1.0f - x));
  // @end
}

fn gradient_of(i: u32) -> f32 {
  let weight = weights[i];
  if (weight == 0.0f) {
    return 0.0f;
  }
  let t = labels[i];
  // @if LOGITS
  let x = p[2u * i + 1u];
  let small = exp(-abs(x));
  let sigmoid = select(small, 1.0f, x >= 0.0f) / (1.0f + small);
  return scale[0] * weight * (sigmoid - t);
  // @else
  let x = clamp(p[2u * i + 1u], 0.0f, 1.0f);
  return scale[0] * weight * ((x - t) / max(x * (1.0f - x), 1e-12f));
  // @end
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= B) {
    return;
  }
  gradient[2u * i] = 0.0f;
  gradient[2u * i + 1u] = gradient_of(i);
  if (i == 0u) {
    // Sums of 32 keep f32 rounding small in large batches.
    var total = 0.0f;
    for (var a = 0u; a < B; a += 32u) {
      var low = 0.0f;
      for (var b = a; b < min(a + 32u, B); b++) {
        low += loss_of(b);
      }
      total += low;
    }
    loss[0] = total;
  }
}
