// One step of SGD with momentum, one invocation four elements.
// Grid: ceil(COUNT / 64) workgroups, folded into x and y.
// w, b, gradient [4 COUNT]; control [0] factor, [1] total norm or negative; hyper [8] = (lr, momentum, nesterov, 0, decay,
// first, 0, active); all f32.
const COUNT: u32 = 196608u; // groups of four; the last may be padded

@group(0) @binding(0) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> control: array<f32>;
@group(0) @binding(4) var<storage, read> hyper: array<f32>;

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
  let g = control[0] * gradient[i] + hyper[4] * w[i];
  var momentum = g;
  if (hyper[5] == 0.0f) {
    momentum += hyper[1] * b[i];
  }
  b[i] = momentum;
  let ahead = g + hyper[1] * momentum;
  w[i] -= hyper[0] * select(momentum, ahead, hyper[2] != 0.0f);
}
