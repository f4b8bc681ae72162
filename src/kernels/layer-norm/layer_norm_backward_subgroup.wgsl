// Gradient of LayerNorm by x, one subgroup a row: sums within the subgroup, so neither barrier nor workgroup memory. Loads are vec4: COLS
// must be a multiple of 4. Subgroups must have LANES invocations, which are the whole workgroup.
// Grid: ROWS workgroups, folded into x and y.
// x, dy, addend, dx [ROWS, COLS] of T; weight [COLS] f32.
enable subgroups;
alias T = f32;
const ROWS: u32 = 290u;
const QUADS: u32 = 256u; // COLS / 4
const EPS: f32 = 1e-5f;
const LANES: u32 = 32u;

@group(0) @binding(0) var<storage, read> x: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<T>>;
// @if ADDEND
@group(0) @binding(3) var<storage, read> addend: array<vec4<T>>;
// @end
@group(0) @binding(4) var<storage, read_write> dx: array<vec4<T>>;

fn mean_all(first: f32, second: f32) -> vec2<f32> {
  return vec2<f32>(subgroupAdd(first), subgroupAdd(second)) / f32(4u * QUADS);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = group.y * groups.x + group.x;
  // Rows past the end repeat the last one and store nothing, so that every sum is reached by all.
  let start = min(row, ROWS - 1u) * QUADS;
  var x_sum = vec4<f32>();
  var g_sum = 0.0f;
  for (var c = local; c < QUADS; c += LANES) {
    x_sum += vec4<f32>(x[start + c]);
    g_sum += dot(vec4<f32>(dy[start + c]), weight[c]);
  }
  let means = mean_all(dot(x_sum, vec4<f32>(1.0f)), g_sum);
  var squares = 0.0f;
  var products = 0.0f;
  for (var c = local; c < QUADS; c += LANES) {
    let d = vec4<f32>(x[start + c]) - means.x;
    squares += dot(d, d);
    products += dot(vec4<f32>(dy[start + c]) * weight[c], d);
  }
  let spread = mean_all(squares, products);
  let scale = inverseSqrt(spread.x + EPS);
  let slope = spread.y * scale * scale;
  if (row < ROWS) {
    for (var c = local; c < QUADS; c += LANES) {
      let d = vec4<f32>(x[start + c]) - means.x;
      var v = scale * (vec4<f32>(dy[start + c]) * weight[c] - means.y - d * slope);
      // @if ADDEND
      v += vec4<f32>(addend[start + c]);
      // @end
      dx[start + c] = vec4<T>(v);
    }
  }
}
