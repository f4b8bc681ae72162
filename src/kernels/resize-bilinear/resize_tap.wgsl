// Bilinear taps with aligned corners, for forward and backward.
struct Tap {
  low: u32,
  high: u32,
  share: f32, // of high
}

// Source i * (size_in - 1) / (size_out - 1), split in whole numbers: no rounding moves a tap.
fn tap(i: u32, size_in: u32, size_out: u32) -> Tap {
  let steps = max(size_out, 2u) - 1u;
  let scaled = i * (size_in - 1u);
  let low = scaled / steps;
  return Tap(low, min(low + 1u, size_in - 1u), f32(scaled % steps) / f32(steps));
}
