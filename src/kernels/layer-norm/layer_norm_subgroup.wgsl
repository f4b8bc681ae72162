// LayerNorm, one subgroup a row: sums within the subgroup, so neither barrier nor workgroup memory. Loads are vec4: COLS must be a
// multiple of 4. Subgroups must have LANES invocations, which are the whole workgroup.
// Grid: ROWS workgroups, folded into x and y.
// x, y [ROWS, COLS] of T; weight, bias [COLS] f32.
enable subgroups;
alias T = f32;
const ROWS: u32 = 290u;
const QUADS: u32 = 256u; // COLS / 4
const EPS: f32 = 1e-5f;
const LANES: u32 = 32u;

@group(0) @binding(0) var<storage, read> x: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<T>>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = group.y * groups.x + group.x;
  // Rows past the end repeat the last one and store nothing, so that every sum is reached by all.
  let start = min(row, ROWS - 1u) * QUADS;
  var sum = vec4<f32>();
  for (var c = local; c < QUADS; c += LANES) {
    sum += vec4<f32>(x[start + c]);
  }
  let mean = subgroupAdd(dot(sum, vec4<f32>(1.0f))) / f32(4u * QUADS);
  var squares = 0.0f;
  for (var c = local; c < QUADS; c += LANES) {
    let d = vec4<f32>(x[start + c]) - mean;
    squares += dot(d, d);
  }
  let scale = inverseSqrt(subgroupAdd(squares) / f32(4u * QUADS) + EPS);
  if (row < ROWS) {
    for (var c = local; c < QUADS; c += LANES) {
      y[start + c] = vec4<T>((vec4<f32>(x[start + c]) - mean) * scale * weight[c] + bias[c]);
    }
  }
}
