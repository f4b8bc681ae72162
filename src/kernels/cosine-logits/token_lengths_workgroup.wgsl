// One over the length of each kept token, one workgroup of 64 a token; a tree sum in workgroup memory.
// Grid: B * (N - SKIP) workgroups, folded into x and y.
// features [B, N, C] of T; inverse [B, N - SKIP] f32.
alias T = f32;
const TOKENS: u32 = 289u; // B * (N - SKIP)
const N: u32 = 290u;
const C: u32 = 768u;
const SKIP: u32 = 1u;
const EPS: f32 = 1e-12f;
const SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> features: array<T>;
@group(0) @binding(1) var<storage, read_write> inverse: array<f32>;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = group.y * groups.x + group.x;
  // Tokens past the end repeat the last one and store nothing, so that every barrier is reached by all.
  let token = min(index, TOKENS - 1u);
  let start = ((token / (N - SKIP)) * N + SKIP + token % (N - SKIP)) * C;
  var squares = 0.0f;
  for (var c = local; c < C; c += SIZE) {
    let v = f32(features[start + c]);
    squares += v * v;
  }
  partial[local] = squares;
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half = half / 2u) {
    if (local < half) {
      partial[local] += partial[local + half];
    }
    workgroupBarrier();
  }
  if (local == 0u && index < TOKENS) {
    inverse[index] = 1.0f / max(sqrt(partial[0]), EPS);
  }
}
