// Bilinear taps of pixels that are areas (halved corners).
struct Tap {
  low: u32,
  high: u32,
  share: f32, // of high
}

// Source max((i + 1/2) * size_in / size_out - 1/2, 0), split in whole numbers: no rounding moves a tap.
fn tap(i: u32, size_in: u32, size_out: u32) -> Tap {
  let steps = 2u * size_out;
  let scaled = max((2u * i + 1u) * size_in, size_out) - size_out;
  let low = min(scaled / steps, size_in - 1u);
  return Tap(low, min(low + 1u, size_in - 1u), f32(scaled % steps) / f32(steps));
}
