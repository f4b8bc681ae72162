// Gradient of attention by the queries, one invocation a query: dq = SCALE sum_s p (dp - delta) k over the keys s, p made
// anew from the saved log-sum-exp; leaves delta = dy . y for the keys' dispatch. Scalar loads, any head size.
// Grid: ceil(BATCH * HEADS * TOKENS / 64) workgroups, folded into x and y; neighbours are queries of one head.
// qkv, dqkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; y, dy [BATCH, TOKENS, HEADS, SIZE] of T; lse, delta [BATCH, HEADS, TOKENS]
// f32.
alias T = f32;
const BATCH: u32 = 1u;
const TOKENS: u32 = 290u;
const HEADS: u32 = 16u;
const SIZE: u32 = 64u;
const SCALE: f32 = 0.125f;
const CAUSAL: bool = false;

@group(0) @binding(0) var<storage, read> qkv: array<T>;
@group(0) @binding(1) var<storage, read> y: array<T>;
@group(0) @binding(2) var<storage, read> dy: array<T>;
@group(0) @binding(3) var<storage, read> lse: array<f32>;
@group(0) @binding(4) var<storage, read_write> delta: array<f32>;
@group(0) @binding(5) var<storage, read_write> dqkv: array<T>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= BATCH * HEADS * TOKENS) {
    return;
  }
  let query = index % TOKENS;
  let head = (index / TOKENS) % HEADS;
  let batch = index / (TOKENS * HEADS);
  let width = HEADS * SIZE;
  let q = (batch * TOKENS + query) * 3u * width + head * SIZE;
  let out = (batch * TOKENS + query) * width + head * SIZE;
  let k0 = batch * TOKENS * 3u * width + width + head * SIZE;
  var dot_y = 0.0f;
  for (var c = 0u; c < SIZE; c++) {
    dot_y += f32(dy[out + c]) * f32(y[out + c]);
  }
  delta[index] = dot_y;
  let log_sum = lse[index];
  var dq: array<f32, SIZE>;
  let keys = select(TOKENS, query + 1u, CAUSAL);
  for (var key = 0u; key < keys; key++) {
    let k = k0 + key * 3u * width;
    var score = 0.0f;
    var dp = 0.0f;
    for (var c = 0u; c < SIZE; c++) {
      score += f32(qkv[q + c]) * f32(qkv[k + c]);
      dp += f32(dy[out + c]) * f32(qkv[k + width + c]);
    }
    let p = exp(min(SCALE * score - log_sum, 0.0f));
    let ds = p * (dp - dot_y);
    for (var c = 0u; c < SIZE; c++) {
      dq[c] += ds * f32(qkv[k + c]);
    }
  }
  for (var c = 0u; c < SIZE; c++) {
    dqkv[q + c] = T(SCALE * dq[c]);
  }
}
