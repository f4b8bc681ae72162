// Largest dot product of each query row with bank rows, from registers: an invocation holds TM query rows against TN bank
// rows at a time and walks its share of a strip, without barriers or workgroup memory. C must be a multiple of 4. Rows past
// the end repeat the last one, which changes no maximum.
// Grid: x = STRIPS, y = ceil(QUERIES / TM); the WX invocations of a workgroup share their query rows, so that compilers for
// CPUs see those loads as uniform.
// q [B, T, C] of Q, of whose T rows the first SKIP are left out; bank [R, C] of B; part [STRIPS * WX, QUERIES] f32.
alias Q = f32;
alias B = f32;
const QUERIES: u32 = 289u; // B * KEPT
const KEPT: u32 = 289u; // T - SKIP
const SKIP: u32 = 1u;
const R: u32 = 3190u;
const C: u32 = 768u;
const STRIP: u32 = 512u; // bank rows, a multiple of TN * WX
const TM: u32 = 8u;
const TN: u32 = 8u;
const TILE: u32 = 64u; // TM * TN
const WX: u32 = 8u;
const LOWEST: f32 = -3.4028234e38f;

@group(0) @binding(0) var<storage, read> q: array<vec4<Q>>;
@group(0) @binding(1) var<storage, read> bank: array<vec4<B>>;
@group(0) @binding(2) var<storage, read_write> part: array<f32>;

@compute @workgroup_size(WX)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let query = group.y * TM;
  if (query >= QUERIES) {
    return;
  }
  var a_start: array<u32, TM>;
  // @unroll
  for (var m = 0u; m < TM; m++) {
    let row = min(query + m, QUERIES - 1u);
    a_start[m] = ((row / KEPT) * (KEPT + SKIP) + SKIP + row % KEPT) * (C / 4u);
  }
  var largest: array<f32, TM>;
  // @unroll
  for (var m = 0u; m < TM; m++) {
    largest[m] = LOWEST;
  }
  var sum: array<f32, TILE>;
  for (var r = group.x * STRIP; r < min((group.x + 1u) * STRIP, R); r += TN * WX) {
    var b_start: array<u32, TN>;
    // @unroll
    for (var n = 0u; n < TN; n++) {
      b_start[n] = min(r + local * TN + n, R - 1u) * (C / 4u);
    }
    // Cleared by hand: SwiftShader keeps the values of a `var` without initialiser from one turn to the next.
    // @unroll
    for (var i = 0u; i < TILE; i++) {
      sum[i] = 0.0f;
    }
    for (var k = 0u; k < C / 4u; k++) {
      var b: array<vec4<f32>, TN>;
      // @unroll
      for (var n = 0u; n < TN; n++) {
        b[n] = vec4<f32>(bank[b_start[n] + k]);
      }
      // @unroll
      for (var m = 0u; m < TM; m++) {
        let a = vec4<f32>(q[a_start[m] + k]);
        // @unroll
        for (var n = 0u; n < TN; n++) {
          sum[m * TN + n] += dot(a, b[n]);
        }
      }
    }
    // @unroll
    for (var m = 0u; m < TM; m++) {
      // @unroll
      for (var n = 0u; n < TN; n++) {
        largest[m] = max(largest[m], sum[m * TN + n]);
      }
    }
  }
  for (var m = 0u; m < TM; m++) {
    if (query + m < QUERIES) {
      part[(group.x * WX + local) * QUERIES + query + m] = largest[m];
    }
  }
}
