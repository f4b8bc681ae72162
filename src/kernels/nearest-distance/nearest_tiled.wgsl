// Largest dot product of each query row with the bank rows of a strip, through workgroup memory: a workgroup of 16 x 16
// holds 64 query rows against 64 bank rows at a time, 4 x 4 an invocation, C in slices of 16, and walks the strip. C must be
// a multiple of 4. Query rows past the end count as zero and are not stored, bank rows past the end are not looked at.
// Grid: x = STRIPS, y = ceil(QUERIES / 64).
// q [B, T, C] of Q, of whose T rows the first SKIP are left out; bank [R, C] of B; part [STRIPS, QUERIES] f32.
alias Q = f32;
alias B = f32;
const QUERIES: u32 = 289u; // B * KEPT
const KEPT: u32 = 289u; // T - SKIP
const SKIP: u32 = 1u;
const R: u32 = 3190u;
const C: u32 = 768u;
const STRIP: u32 = 512u; // bank rows, a multiple of SIDE
const SIDE: u32 = 64u;
const SLICE: u32 = 16u;
// One more than SIDE, so that stores that transpose spread over the banks.
const STRIDE: u32 = 65u;
const LOWEST: f32 = -3.4028234e38f;

@group(0) @binding(0) var<storage, read> q: array<vec4<Q>>;
@group(0) @binding(1) var<storage, read> bank: array<vec4<B>>;
@group(0) @binding(2) var<storage, read_write> part: array<f32>;

var<workgroup> a_tile: array<f32, 1040>; // SLICE * STRIDE
var<workgroup> b_tile: array<f32, 1040>;
var<workgroup> found: array<f32, 1024>; // 16 * SIDE

@compute @workgroup_size(16, 16)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row0 = group.y * SIDE;
  // Loading: invocation `local` brings 4 neighbours along C of row `line` of each operand.
  let line = local / 4u;
  let quad = local % 4u;
  let row = row0 + line;
  let a_start = ((row / KEPT) * (KEPT + SKIP) + SKIP + row % KEPT) * (C / 4u);
  var largest: array<f32, 4>;
  // @unroll
  for (var m = 0u; m < 4u; m++) {
    largest[m] = LOWEST;
  }
  var sum: array<f32, 16>;
  for (var first = group.x * STRIP; first < min((group.x + 1u) * STRIP, R); first += SIDE) {
    // Cleared by hand: SwiftShader keeps the values of a `var` without initialiser from one turn to the next.
    // @unroll
    for (var i = 0u; i < 16u; i++) {
      sum[i] = 0.0f;
    }
    for (var slice = 0u; slice < C; slice += SLICE) {
      let k = slice + quad * 4u;
      var a = vec4<f32>();
      var b = vec4<f32>();
      if (k < C && row < QUERIES) {
        a = vec4<f32>(q[a_start + k / 4u]);
      }
      if (k < C && first + line < R) {
        b = vec4<f32>(bank[((first + line) * C + k) / 4u]);
      }
      // @unroll
      for (var i = 0u; i < 4u; i++) {
        a_tile[(quad * 4u + i) * STRIDE + line] = a[i];
        b_tile[(quad * 4u + i) * STRIDE + line] = b[i];
      }
      workgroupBarrier();
      for (var s = 0u; s < SLICE; s++) {
        var b_line: array<f32, 4>;
        // @unroll
        for (var n = 0u; n < 4u; n++) {
          b_line[n] = b_tile[s * STRIDE + id.x * 4u + n];
        }
        // @unroll
        for (var m = 0u; m < 4u; m++) {
          let a_value = a_tile[s * STRIDE + id.y * 4u + m];
          // @unroll
          for (var n = 0u; n < 4u; n++) {
            sum[m * 4u + n] += a_value * b_line[n];
          }
        }
      }
      workgroupBarrier();
    }
    // @unroll
    for (var n = 0u; n < 4u; n++) {
      if (first + id.x * 4u + n < R) {
        // @unroll
        for (var m = 0u; m < 4u; m++) {
          largest[m] = max(largest[m], sum[m * 4u + n]);
        }
      }
    }
  }
  // @unroll
  for (var m = 0u; m < 4u; m++) {
    found[id.x * SIDE + id.y * 4u + m] = largest[m];
  }
  workgroupBarrier();
  if (local < SIDE && row0 + local < QUERIES) {
    var best = LOWEST;
    for (var i = 0u; i < 16u; i++) {
      best = max(best, found[i * SIDE + local]);
    }
    part[group.x * QUERIES + row0 + local] = best;
  }
}
