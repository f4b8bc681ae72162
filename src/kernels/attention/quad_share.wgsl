/** Invocation i of a quad gets the sum of the quad's s[i]: two exchanges for four sums. */
fn quad_sums(s: vec4<f32>, part: u32) -> f32 {
  let odd = (part & 1u) == 1u;
  let near = select(s.xz, s.yw, odd) + quadSwapX(select(s.yw, s.xz, odd));
  return select(near.x, near.y, part >= 2u) + quadSwapY(select(near.y, near.x, part >= 2u));
}

/** The numbers of a quad's invocations, known to each. */
fn quad_values(own: f32) -> vec4<f32> {
  return vec4<f32>(
    quadBroadcast(own, 0u),
    quadBroadcast(own, 1u),
    quadBroadcast(own, 2u),
    quadBroadcast(own, 3u),
  );
}
