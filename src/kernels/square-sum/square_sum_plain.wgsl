// PARTS sums of squares (SQUARE) or of such sums, -1 where something is not finite; one invocation a sum, which takes
// every PARTS-th term: no barrier.
// Grid: ceil(PARTS / 64) workgroups, folded into x and y.
// x [COUNT] f32; y f32, written from element FIRST on.
const COUNT: u32 = 786432u;
const PARTS: u32 = 887u;
const FIRST: u32 = 0u;
const LIMIT: u32 = 0x57800000u; // 2^48, bits of f32

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

fn term(i: u32) -> f32 {
  let v = bitcast<f32>(x[i]);
  // @if SQUARE
  return select(v * v, -1.0f, (x[i] & 0x7fffffffu) >= LIMIT);
  // @else
  return v;
  // @end
}

fn join(a: f32, b: f32) -> f32 {
  return select(a + b, -1.0f, a < 0.0f || b < 0.0f);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let part = (group.y * groups.x + group.x) * 64u + local;
  if (part >= PARTS) {
    return;
  }
  // Sums of sums of 32: a long running f32 sum would lose digits.
  var total = 0.0f;
  for (var a = part; a < COUNT; a += 32u * PARTS) {
    var low = 0.0f;
    for (var b = a; b < min(a + 32u * PARTS, COUNT); b += PARTS) {
      low = join(low, term(b));
    }
    total = join(total, low);
  }
  y[FIRST + part] = total;
}
