// Reduction of one axis, one workgroup of 256 a result; each invocation takes every 256th term, then a tree in workgroup
// memory. The order is fixed, so results repeat bit by bit.
// Grid: OUTER * INNER workgroups, folded into x and y.
// x [OUTER, AXIS, INNER] of T; y [OUTER, INNER] f32. SOFTMAX: of softmaxes over INNER.
alias T = f32;
const OUTER: u32 = 1u;
const AXIS: u32 = 289u;
const INNER: u32 = 2u;
const DIVISOR: f32 = 289.0f; // AXIS for means, 1 for sums
const SIZE: u32 = 256u;

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

var<workgroup> partial: array<f32, 256>;

// @include reduce_term

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = group.y * groups.x + group.x;
  // Results past the end repeat the last one and store nothing, so that every barrier is reached by all.
  let safe = min(i, OUTER * INNER - 1u);
  let start = (safe / INNER) * AXIS * INNER + safe % INNER;
  // @if MAX
  // Invocations without a term repeat the first: it changes no maximum.
  var own = term(start, 0u);
  for (var a = local; a < AXIS; a += SIZE) {
    own = max(own, term(start, a));
  }
  // @else
  // Sums of 32 terms keep f32 rounding small on long axes.
  var own = 0.0f;
  for (var a = local; a < AXIS; a += 32u * SIZE) {
    var low = 0.0f;
    for (var b = a; b < min(a + 32u * SIZE, AXIS); b += SIZE) {
      low += term(start, b);
    }
    own += low;
  }
  // @end
  partial[local] = own;
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half = half / 2u) {
    if (local < half) {
      // @if MAX
      partial[local] = max(partial[local], partial[local + half]);
      // @else
      partial[local] += partial[local + half];
      // @end
    }
    workgroupBarrier();
  }
  if (local == 0u && i < OUTER * INNER) {
    y[i] = partial[0] / DIVISOR;
  }
}
