// One class's values summed over up to seven tensors; one invocation an element of y.
// Grid: ceil(COUNT / 64) workgroups, folded into x and y.
// x0 .. x6 [COUNT, K] f32; y [COUNT] f32.
const COUNT: u32 = 57600u;
const K: u32 = 2u;
const CLASS: u32 = 1u;

@group(0) @binding(0) var<storage, read> x0: array<f32>;
// @if X1
@group(0) @binding(1) var<storage, read> x1: array<f32>;
// @end
// @if X2
@group(0) @binding(2) var<storage, read> x2: array<f32>;
// @end
// @if X3
@group(0) @binding(3) var<storage, read> x3: array<f32>;
// @end
// @if X4
@group(0) @binding(4) var<storage, read> x4: array<f32>;
// @end
// @if X5
@group(0) @binding(5) var<storage, read> x5: array<f32>;
// @end
// @if X6
@group(0) @binding(6) var<storage, read> x6: array<f32>;
// @end
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

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
  let at = i * K + CLASS;
  var sum = x0[at];
  // @if X1
  sum += x1[at];
  // @end
  // @if X2
  sum += x2[at];
  // @end
  // @if X3
  sum += x3[at];
  // @end
  // @if X4
  sum += x4[at];
  // @end
  // @if X5
  sum += x5[at];
  // @end
  // @if X6
  sum += x6[at];
  // @end
  y[i] = sum;
}
