// Stage 0's probability of CLASS at a pixel; class-map.ts writes the others' with their numbers.
fn stage0(c: Corners) -> f32 {
  // @if SOFTMAX_FIRST
  // Four cells side by side: softmax of each, then the blend.
  var logits: array<vec4<f32>, K>;
  var largest = vec4<f32>(LOWEST);
  var total = vec4<f32>(0.0f);
  // @else
  var logits: array<f32, K>;
  var largest = LOWEST;
  var total = 0.0f;
  // @end
  for (var k = 0u; k < K; k++) {
    let cells = vec4<f32>(x0[c.at.x + k], x0[c.at.y + k], x0[c.at.z + k], x0[c.at.w + k]);
    // @if SOFTMAX_FIRST
    logits[k] = cells;
    // @else
    logits[k] = blend(cells, c);
    // @end
    largest = max(largest, logits[k]);
  }
  for (var k = 0u; k < K; k++) {
    total += exp(logits[k] - largest);
  }
  let p = exp(logits[CLASS] - largest) / total;
  // @if SOFTMAX_FIRST
  return blend(p, c);
  // @else
  return p;
  // @end
}
