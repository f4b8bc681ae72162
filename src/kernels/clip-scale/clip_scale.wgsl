// Factor on the gradients, total norm and single norms; one invocation a tensor, the first also makes the total.
// Grid: ceil(N / 64) workgroups, folded into x and y.
// norms [N], sums of squares or -1; hyper [2] = (inverse loss scale, maximum norm or 0); control [2 + N]; all f32.
const N: u32 = 18u;
const COUNTED: u32 = 18u; // the rest must be finite, too, but is in no sum

@group(0) @binding(0) var<storage, read> norms: array<f32>;
@group(0) @binding(1) var<storage, read> hyper: array<f32>;
@group(0) @binding(2) var<storage, read_write> control: array<f32>;

fn norm_of(squares: f32) -> f32 {
  return select(hyper[0] * sqrt(max(squares, 0.0f)), -1.0f, squares < 0.0f);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= N) {
    return;
  }
  control[2u + i] = norm_of(norms[i]);
  if (i == 0u) {
    var squares = 0.0f;
    var finite = true;
    for (var a = 0u; a < N; a += 32u) {
      var low = 0.0f;
      for (var b = a; b < min(a + 32u, N); b++) {
        low += select(0.0f, norms[b], b < COUNTED);
        finite = finite && norms[b] >= 0.0f;
      }
      squares += low;
    }
    let total = norm_of(select(-1.0f, squares, finite));
    var factor = hyper[0];
    if (hyper[1] > 0.0f) {
      factor *= min(1.0f, hyper[1] / (total + 1e-6f));
    }
    control[0] = select(0.0f, factor, finite);
    control[1] = total;
  }
}
