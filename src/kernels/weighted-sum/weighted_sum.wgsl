// y = sum_i C_i x_i over up to seven tensors; one invocation an element.
// Grid: ceil(COUNT / 64) workgroups, folded into x and y.
// x0 .. x6, y [COUNT] of T.
alias T = f32;
const COUNT: u32 = 296960u;
const C0: f32 = 0.8f;
// @if X1
const C1: f32 = 0.1f;
// @end
// @if X2
const C2: f32 = 0.1f;
// @end
// @if X3
const C3: f32 = 0.1f;
// @end
// @if X4
const C4: f32 = 0.1f;
// @end
// @if X5
const C5: f32 = 0.1f;
// @end
// @if X6
const C6: f32 = 0.1f;
// @end

@group(0) @binding(0) var<storage, read> x0: array<T>;
// @if X1
@group(0) @binding(1) var<storage, read> x1: array<T>;
// @end
// @if X2
@group(0) @binding(2) var<storage, read> x2: array<T>;
// @end
// @if X3
@group(0) @binding(3) var<storage, read> x3: array<T>;
// @end
// @if X4
@group(0) @binding(4) var<storage, read> x4: array<T>;
// @end
// @if X5
@group(0) @binding(5) var<storage, read> x5: array<T>;
// @end
// @if X6
@group(0) @binding(6) var<storage, read> x6: array<T>;
// @end
@group(0) @binding(7) var<storage, read_write> y: array<T>;

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
  var sum = C0 * f32(x0[i]);
  // @if X1
  sum += C1 * f32(x1[i]);
  // @end
  // @if X2
  sum += C2 * f32(x2[i]);
  // @end
  // @if X3
  sum += C3 * f32(x3[i]);
  // @end
  // @if X4
  sum += C4 * f32(x4[i]);
  // @end
  // @if X5
  sum += C5 * f32(x5[i]);
  // @end
  // @if X6
  sum += C6 * f32(x6[i]);
  // @end
  y[i] = T(sum);
}
