// Reduction of one axis, one invocation a result: no barrier.
// Grid: ceil(OUTER * INNER / 64) workgroups, folded into x and y.
// x [OUTER, AXIS, INNER] of T; y [OUTER, INNER] f32. SOFTMAX: of softmaxes over INNER.
alias T = f32;
const OUTER: u32 = 1u;
const AXIS: u32 = 289u;
const INNER: u32 = 2u;
const DIVISOR: f32 = 289.0f; // AXIS for means, 1 for sums

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

// @include reduce_term

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= OUTER * INNER) {
    return;
  }
  let start = (i / INNER) * AXIS * INNER + i % INNER;
  // @if MAX
  var largest = term(start, 0u);
  for (var a = 1u; a < AXIS; a++) {
    largest = max(largest, term(start, a));
  }
  y[i] = largest;
  // @else
  // Sums of 32 sums of 32: a running f32 sum of 57600 terms would lose three digits.
  var total = 0.0f;
  for (var a = 0u; a < AXIS; a += 1024u) {
    var middle = 0.0f;
    for (var b = a; b < min(a + 1024u, AXIS); b += 32u) {
      var low = 0.0f;
      for (var c = b; c < min(b + 32u, AXIS); c++) {
        low += term(start, c);
      }
      middle += low;
    }
    total += middle;
  }
  y[i] = total / DIVISOR;
  // @end
}
