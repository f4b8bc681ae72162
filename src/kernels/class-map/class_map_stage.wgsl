// Stage 0's probability of CLASS at a pixel; class-map.ts writes the others' with their numbers.
fn logits0(k: u32, c: Corners) -> vec4<f32> {
  return vec4<f32>(x0[c.at.x + k], x0[c.at.y + k], x0[c.at.z + k], x0[c.at.w + k]);
}

fn stage0(c: Corners) -> f32 {
  // @if SOFTMAX_FIRST
  // Four cells side by side: softmax of each, then the blend.
  var largest = logits0(0u, c);
  for (var k = 1u; k < K; k++) {
    largest = max(largest, logits0(k, c));
  }
  var total = vec4<f32>(0.0f);
  for (var k = 0u; k < K; k++) {
    total += exp(logits0(k, c) - largest);
  }
  return blend(exp(logits0(CLASS, c) - largest) / total, c);
  // @else
  var largest = blend(logits0(0u, c), c);
  for (var k = 1u; k < K; k++) {
    largest = max(largest, blend(logits0(k, c), c));
  }
  var total = 0.0f;
  for (var k = 0u; k < K; k++) {
    total += exp(blend(logits0(k, c), c) - largest);
  }
  return exp(blend(logits0(CLASS, c), c) - largest) / total;
  // @end
}
