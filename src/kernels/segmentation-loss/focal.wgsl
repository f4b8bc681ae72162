const SMOOTHING: f32 = 1e-5f;

// The smoothed probability of a pixel's own class.
fn own_probability(p: vec2<f32>, abnormal: bool) -> f32 {
  let own = select(p.x, p.y, abnormal);
  let other = select(p.y, p.x, abnormal);
  return (1.0f - SMOOTHING) * own + SMOOTHING * other + SMOOTHING;
}

fn focal_of(p: vec2<f32>, abnormal: bool) -> f32 {
  let q = own_probability(p, abnormal);
  return -(1.0f - q) * (1.0f - q) * log(q);
}

// d focal / d(p.x, p.y): 2 (1 - q) log q - (1 - q)^2 / q by q.
fn focal_slope(p: vec2<f32>, abnormal: bool) -> vec2<f32> {
  let q = own_probability(p, abnormal);
  let slope = (1.0f - q) * (2.0f * log(q) - (1.0f - q) / q);
  return slope * select(vec2(1.0f - SMOOTHING, SMOOTHING), vec2(SMOOTHING, 1.0f - SMOOTHING), abnormal);
}
