// Term `a` of the result whose terms begin at `start`; with SOFTMAX its share among the INNER neighbours that it stands with. Included by
// the variants, which declare INNER and the binding `x`.
fn term(start: u32, a: u32) -> f32 {
  let at = start + a * INNER;
  // @if SOFTMAX
  let first = at - at % INNER;
  var largest = f32(x[first]);
  for (var c = 1u; c < INNER; c++) {
    largest = max(largest, f32(x[first + c]));
  }
  var sum = 0.0f;
  for (var c = 0u; c < INNER; c++) {
    sum += exp(f32(x[first + c]) - largest);
  }
  return exp(f32(x[at]) - largest) / sum;
  // @else
  return f32(x[at]);
  // @end
}
