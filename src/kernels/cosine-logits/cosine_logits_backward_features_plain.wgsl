// Gradient of scaled cosines by the tokens, one invocation a token: no barrier.
// Grid: ceil(B * N / 16) workgroups, folded into x and y.
// features, d_features [B, N, C] of T; text [K, C] f32; dy [B, N - SKIP, K] f32.
alias T = f32;
const ROWS: u32 = 290u; // B * N
const N: u32 = 290u;
const C: u32 = 768u;
const K: u32 = 2u;
const SKIP: u32 = 1u;
const SCALE: f32 = 100.0f;
const EPS: f32 = 1e-12f;

@group(0) @binding(0) var<storage, read> features: array<T>;
@group(0) @binding(1) var<storage, read> text: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_features: array<T>;

// Gradient by column c of the token's unit vector.
fn by_unit(dy_start: u32, c: u32) -> f32 {
  var sum = 0.0f;
  for (var k = 0u; k < K; k++) {
    sum += dy[dy_start + k] * text[k * C + c];
  }
  return SCALE * sum;
}

@compute @workgroup_size(16)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = (group.y * groups.x + group.x) * 16u + local;
  if (row >= ROWS) {
    return;
  }
  let start = row * C;
  let token = row % N;
  if (token < SKIP) {
    for (var c = 0u; c < C; c++) {
      d_features[start + c] = T(0.0f);
    }
    return;
  }
  let dy_start = ((row / N) * (N - SKIP) + token - SKIP) * K;
  var squares = 0.0f;
  var product = 0.0f;
  for (var c = 0u; c < C; c++) {
    let v = f32(features[start + c]);
    squares += v * v;
    product += v * by_unit(dy_start, c);
  }
  let norm = sqrt(squares);
  let length = max(norm, EPS);
  // A clamped length does not change with the token.
  let along = select(0.0f, product / length, norm > EPS);
  for (var c = 0u; c < C; c++) {
    d_features[start + c] = T((by_unit(dy_start, c) - f32(features[start + c]) / length * along) / length);
  }
}
