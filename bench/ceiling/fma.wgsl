// Multiply-adds from registers only: CHAINS independent vec4 chains for each invocation, ITERATIONS * UNROLL steps each.
// Nothing can be folded away: factor and addend are read at run time, every component starts elsewhere, all are stored.
// With factor = addend = 1 a chain counts its steps, so that the result shows that none was skipped (exact in f16 below 2048).
// Grid: x = invocations / 64.
// x [2]: factor, addend; y [invocations] f32: sum of all components.
alias T = f32;
const CHAINS: u32 = 4u;
const ITERATIONS: u32 = 64u;
const UNROLL: u32 = 4u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let factor = vec4<T>(T(x[0]));
  let addend = vec4<T>(T(x[1]));
  let start = vec4<T>(vec4<u32>(id.x % 64u) + vec4<u32>(0u, 1u, 2u, 3u));
  var chain: array<vec4<T>, CHAINS>;
  // @unroll
  for (var c = 0u; c < CHAINS; c++) {
    chain[c] = start + vec4<T>(T(4u * c));
  }
  for (var i = 0u; i < ITERATIONS; i++) {
    // @unroll
    for (var u = 0u; u < UNROLL; u++) {
      // @unroll
      for (var c = 0u; c < CHAINS; c++) {
        // @if FUSED
        chain[c] = fma(chain[c], factor, addend);
        // @else
        chain[c] = chain[c] * factor + addend;
        // @end
      }
    }
  }
  var sum = vec4<f32>();
  // @unroll
  for (var c = 0u; c < CHAINS; c++) {
    sum += vec4<f32>(chain[c]);
  }
  y[id.x] = sum.x + sum.y + sum.z + sum.w;
}
