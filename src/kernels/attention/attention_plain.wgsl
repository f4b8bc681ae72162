// Attention, one invocation a query: online softmax over the keys, scalar loads, any head size.
// Grid: ceil(BATCH * HEADS * TOKENS / 64) workgroups, folded into x and y; neighbours are queries of one head.
// qkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; y [BATCH, TOKENS, HEADS, SIZE] of T; lse [BATCH, HEADS, TOKENS] f32.
alias T = f32;
const BATCH: u32 = 1u;
const TOKENS: u32 = 290u;
const HEADS: u32 = 16u;
const SIZE: u32 = 64u;
const SCALE: f32 = 0.125f;
const CAUSAL: bool = false;

@group(0) @binding(0) var<storage, read> qkv: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;
// @if LSE
@group(0) @binding(2) var<storage, read_write> lse: array<f32>;
// @end

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
  let k0 = batch * TOKENS * 3u * width + width + head * SIZE;
  var sum: array<f32, SIZE>;
  var peak = -3.0e38f;
  var total = 0.0f;
  let keys = select(TOKENS, query + 1u, CAUSAL);
  for (var key = 0u; key < keys; key++) {
    let k = k0 + key * 3u * width;
    var score = 0.0f;
    for (var c = 0u; c < SIZE; c++) {
      score += f32(qkv[q + c]) * f32(qkv[k + c]);
    }
    score *= SCALE;
    let next = max(peak, score);
    let shrink = exp(peak - next);
    let weight = exp(score - next);
    total = total * shrink + weight;
    for (var c = 0u; c < SIZE; c++) {
      sum[c] = sum[c] * shrink + weight * f32(qkv[k + width + c]);
    }
    peak = next;
  }
  let out = (batch * TOKENS + query) * width + head * SIZE;
  for (var c = 0u; c < SIZE; c++) {
    y[out + c] = T(sum[c] / total);
  }
  // @if LSE
  lse[index] = peak + log(total);
  // @end
}
