// Scaled cosines of tokens with text rows, one workgroup of 64 a token: each reads its token once for the norm and all K
// products, then tree sums of the 1 + K parts in workgroup memory.
// Grid: B * (N - SKIP) workgroups, folded into x and y.
// features [B, N, C] of T; text [K, C] f32; y [B, N - SKIP, K] f32.
alias T = f32;
const TOKENS: u32 = 289u; // B * (N - SKIP)
const N: u32 = 290u;
const C: u32 = 768u;
const K: u32 = 2u;
const SKIP: u32 = 1u;
const SCALE: f32 = 100.0f;
const EPS: f32 = 1e-12f;
const SIZE: u32 = 64u;
const CELLS: u32 = 192u; // SIZE * (1 + K)

@group(0) @binding(0) var<storage, read> features: array<T>;
@group(0) @binding(1) var<storage, read> text: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// Squares in the first SIZE cells, then SIZE cells of products per text row.
var<workgroup> partial: array<f32, CELLS>;

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
  var product: array<f32, K>;
  for (var c = local; c < C; c += SIZE) {
    let v = f32(features[start + c]);
    squares += v * v;
    // @unroll
    for (var k = 0u; k < K; k++) {
      product[k] += v * text[k * C + c];
    }
  }
  partial[local] = squares;
  // @unroll
  for (var k = 0u; k < K; k++) {
    partial[(1u + k) * SIZE + local] = product[k];
  }
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half = half / 2u) {
    if (local < half) {
      for (var cell = local; cell < CELLS; cell += SIZE) {
        partial[cell] += partial[cell + half];
      }
    }
    workgroupBarrier();
  }
  if (local < K && index < TOKENS) {
    y[token * K + local] = SCALE * (partial[(1u + local) * SIZE] / max(sqrt(partial[0]), EPS));
  }
}
