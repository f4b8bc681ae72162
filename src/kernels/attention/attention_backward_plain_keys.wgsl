// Gradient of attention by keys and values, one invocation a key: dv = sum_t p dy, dk = SCALE sum_t p (dp - delta) q over
// the queries t that see the key. Scalar loads, any head size. Runs after the queries' dispatch, which leaves delta.
// Grid: ceil(BATCH * HEADS * TOKENS / 64) workgroups, folded into x and y; neighbours are keys of one head.
// qkv, dqkv [BATCH, TOKENS, 3, HEADS, SIZE] of T; dy [BATCH, TOKENS, HEADS, SIZE] of T; lse, delta [BATCH, HEADS, TOKENS] f32.
alias T = f32;
const BATCH: u32 = 1u;
const TOKENS: u32 = 290u;
const HEADS: u32 = 16u;
const SIZE: u32 = 64u;
const SCALE: f32 = 0.125f;
const CAUSAL: bool = false;

@group(0) @binding(0) var<storage, read> qkv: array<T>;
@group(0) @binding(1) var<storage, read> dy: array<T>;
@group(0) @binding(2) var<storage, read> lse: array<f32>;
@group(0) @binding(3) var<storage, read> delta: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<T>;

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
  let key = index % TOKENS;
  let head = (index / TOKENS) % HEADS;
  let batch = index / (TOKENS * HEADS);
  let width = HEADS * SIZE;
  let k = (batch * TOKENS + key) * 3u * width + width + head * SIZE;
  let row = (batch * HEADS + head) * TOKENS;
  var dk: array<f32, SIZE>;
  var dv: array<f32, SIZE>;
  for (var query = select(0u, key, CAUSAL); query < TOKENS; query++) {
    let q = (batch * TOKENS + query) * 3u * width + head * SIZE;
    let out = (batch * TOKENS + query) * width + head * SIZE;
    var score = 0.0f;
    var dp = 0.0f;
    for (var c = 0u; c < SIZE; c++) {
      score += f32(qkv[q + c]) * f32(qkv[k + c]);
      dp += f32(dy[out + c]) * f32(qkv[k + width + c]);
    }
    let p = exp(min(SCALE * score - lse[row + query], 0.0f));
    let ds = p * (dp - delta[row + query]);
    for (var c = 0u; c < SIZE; c++) {
      dv[c] += p * f32(dy[out + c]);
      dk[c] += ds * f32(qkv[q + c]);
    }
  }
  for (var c = 0u; c < SIZE; c++) {
    dqkv[k + c] = T(SCALE * dk[c]);
    dqkv[k + width + c] = T(dv[c]);
  }
}
