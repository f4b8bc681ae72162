// Gradient of scaled cosines by the tokens, one workgroup of 64 a token; a tree sum of two parts in workgroup memory.
// Grid: B * N workgroups, folded into x and y.
// features, d_features [B, N, C] of T; text [K, C] f32; dy [B, N - SKIP, K] f32.
alias T = f32;
const ROWS: u32 = 290u; // B * N
const N: u32 = 290u;
const C: u32 = 768u;
const K: u32 = 2u;
const SKIP: u32 = 1u;
const SCALE: f32 = 100.0f;
const EPS: f32 = 1e-12f;
const SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> features: array<T>;
@group(0) @binding(1) var<storage, read> text: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_features: array<T>;

// Squares of the token in SIZE cells, then products with the gradient by its unit vector.
var<workgroup> partial: array<f32, 128>;

// Gradient by column c of the token's unit vector.
fn by_unit(dy_start: u32, c: u32) -> f32 {
  var sum = 0.0f;
  for (var k = 0u; k < K; k++) {
    sum += dy[dy_start + k] * text[k * C + c];
  }
  return SCALE * sum;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = group.y * groups.x + group.x;
  // Rows past the end repeat the last one and store nothing, so that every barrier is reached by all.
  let row = min(index, ROWS - 1u);
  let start = row * C;
  let token = row % N;
  // Dropped tokens compute with the first kept one's gradient, and store zeros.
  let dy_start = ((row / N) * (N - SKIP) + max(token, SKIP) - SKIP) * K;
  var squares = 0.0f;
  var product = 0.0f;
  for (var c = local; c < C; c += SIZE) {
    let v = f32(features[start + c]);
    squares += v * v;
    product += v * by_unit(dy_start, c);
  }
  partial[local] = squares;
  partial[SIZE + local] = product;
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half = half / 2u) {
    if (local < half) {
      partial[local] += partial[local + half];
      partial[SIZE + local] += partial[SIZE + local + half];
    }
    workgroupBarrier();
  }
  let norm = sqrt(partial[0]);
  let length = max(norm, EPS);
  // A clamped length does not change with the token.
  let along = select(0.0f, partial[SIZE] / length, norm > EPS);
  if (index < ROWS) {
    for (var c = local; c < C; c += SIZE) {
      let v = (by_unit(dy_start, c) - f32(features[start + c]) / length * along) / length;
      d_features[start + c] = T(select(v, 0.0f, token < SKIP));
    }
  }
}
