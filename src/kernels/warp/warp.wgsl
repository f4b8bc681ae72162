// Affine warp, bilinear, mirrored at the edges; one invocation an element of y.
// Grid: ceil(COUNT / 64) workgroups, folded into x and y.
// x, y [B, C, S, S] f32; transforms [B, 6] f32.
const COUNT: u32 = 172800u;
const C: u32 = 3u;
const S: u32 = 240u;
const FINE: f32 = 4096.0f;
const ABOVE: f32 = 0.50001f; // a tie and its rounding are not above a half

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> transforms: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

struct Tap {
  low: u32,
  high: u32,
  share: f32, // of high
}

// The two pixels that a row of a transform meets for a pixel at (u, v) from the centre. Coefficients are split: of the
// coarse ones, multiples of 1/FINE, all products and sums are exact; the rest is small.
fn tap(at: u32, u: f32, v: f32) -> Tap {
  let side = f32(S);
  let row = vec3(transforms[at], transforms[at + 1u], transforms[at + 2u]);
  let coarse = round(row * FINE) / FINE;
  let place = vec3(u, v, side / 2.0f);
  var whole = dot(coarse, place) + (side - 1.0f) / 2.0f;
  var rest = dot(row - coarse, place);
  let turns = floor((whole + rest + 0.5f) / side);
  if (turns % 2.0f == 0.0f) {
    whole -= turns * side;
  } else {
    whole = (turns + 1.0f) * side - 1.0f - whole;
    rest = -rest;
  }
  let low = clamp(floor(whole + rest), 0.0f, side - 1.0f);
  let first = min(u32(low), S - 1u);
  return Tap(first, min(first + 1u, S - 1u), clamp(whole - low + rest, 0.0f, 1.0f));
}

fn between(a: f32, b: f32, share: f32) -> f32 {
  return a * (1.0f - share) + b * share;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= COUNT) {
    return;
  }
  let centre = (f32(S) - 1.0f) / 2.0f;
  let u = f32(i % S) - centre;
  let v = f32((i / S) % S) - centre;
  let plane = i / (S * S);
  let transform = 6u * (plane / C);
  let across = tap(transform, u, v);
  let down = tap(transform + 3u, u, v);
  let above = (plane * S + down.low) * S;
  let below = (plane * S + down.high) * S;
  let top = between(x[above + across.low], x[above + across.high], across.share);
  let bottom = between(x[below + across.low], x[below + across.high], across.share);
  let value = between(top, bottom, down.share);
  // @if THRESHOLD
  y[i] = select(0.0f, 1.0f, value > ABOVE);
  // @else
  y[i] = value;
  // @end
}
