// PARTS sums of squares (SQUARE) or of such sums, -1 where something is not finite; one workgroup of 256 a sum, whose
// invocations take every PARTS * 256-th term, then a tree in workgroup memory. The order is fixed: results repeat.
// Grid: PARTS workgroups, folded into x and y.
// x [COUNT] f32; y f32, written from element FIRST on.
const COUNT: u32 = 786432u;
const PARTS: u32 = 256u;
const FIRST: u32 = 0u;
const LIMIT: u32 = 0x57800000u; // 2^48, bits of f32
const SIZE: u32 = 256u;

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

var<workgroup> partial: array<f32, 256>;

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

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let part = group.y * groups.x + group.x;
  // Parts past the end repeat the last one and store nothing, so that every barrier is reached by all.
  let start = min(part, PARTS - 1u) * SIZE + local;
  let jump = PARTS * SIZE;
  var own = 0.0f;
  for (var a = start; a < COUNT; a += 32u * jump) {
    var low = 0.0f;
    for (var b = a; b < min(a + 32u * jump, COUNT); b += jump) {
      low = join(low, term(b));
    }
    own = join(own, low);
  }
  partial[local] = own;
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half = half / 2u) {
    if (local < half) {
      partial[local] = join(partial[local], partial[local + half]);
    }
    workgroupBarrier();
  }
  if (local == 0u && part < PARTS) {
    y[FIRST + part] = partial[0];
  }
}
