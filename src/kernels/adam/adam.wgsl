// One step of Adam, or of AdamW (DECOUPLED), one invocation four elements.
// Grid: ceil(COUNT / 64) workgroups, folded into x and y.
// w, m, v, gradient [4 COUNT]; control [0] factor, [1] total norm or negative; hyper [8] = (lr, beta1, beta2, eps, decay,
// 1/(1-beta1^t), 1/(1-beta2^t), active); all f32.
const COUNT: u32 = 196608u; // groups of four; the last may be padded

@group(0) @binding(0) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> control: array<f32>;
@group(0) @binding(5) var<storage, read> hyper: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= COUNT || control[1] < 0.0f || hyper[7] == 0.0f) {
    return;
  }
  let decay = hyper[4] * w[i];
  // @if DECOUPLED
  let g = control[0] * gradient[i];
  // @else
  let g = control[0] * gradient[i] + decay;
  // @end
  let first = hyper[1] * m[i] + (1.0f - hyper[1]) * g;
  let second = hyper[2] * v[i] + (1.0f - hyper[2]) * g * g;
  m[i] = first;
  v[i] = second;
  let update = first * hyper[5] / (sqrt(second * hyper[6]) + hyper[3]);
  // @if DECOUPLED
  w[i] -= hyper[0] * (update + decay);
  // @else
  w[i] -= hyper[0] * update;
  // @end
}
