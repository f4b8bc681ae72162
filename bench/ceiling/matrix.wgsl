// Products on matrix units from registers only: a subgroup multiplies the same two matrices again and again and adds them to CHAINS
// independent sums. Nothing can be folded away: the factors are read at run time and every sum starts elsewhere.
// Whole numbers, so that the result shows that no step was skipped (exact in f32 below 2^24).
// A workgroup is one subgroup of LANES invocations. Grid: x = workgroups.
// x [2]: every element of the left and of the right factor; y [workgroups * LANES] f32: an element of each sum, added up.
enable subgroups;
enable chromium_experimental_subgroup_matrix;
alias T = f32;
const LANES: u32 = 32u;
const FM: u32 = 16u;
const FN: u32 = 16u;
const FK: u32 = 16u;
const A_SIZE: u32 = 256u; // FM * FK
const B_SIZE: u32 = 256u; // FK * FN
const STAGE: u32 = 256u; // FM * FN
const CHAINS: u32 = 4u;
const ITERATIONS: u32 = 64u;
const UNROLL: u32 = 4u;

alias Left = subgroup_matrix_left<T, FK, FM>;
alias Right = subgroup_matrix_right<T, FN, FK>;
alias Result = subgroup_matrix_result<f32, FN, FM>;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

var<workgroup> a_tile: array<T, A_SIZE>;
var<workgroup> b_tile: array<T, B_SIZE>;
var<workgroup> stage: array<f32, STAGE>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  for (var i = local; i < A_SIZE; i += LANES) {
    a_tile[i] = T(x[0]);
  }
  for (var i = local; i < B_SIZE; i += LANES) {
    b_tile[i] = T(x[1]);
  }
  workgroupBarrier();
  let a = subgroupMatrixLoad<Left, row_major>(&a_tile, 0u, FK);
  let b = subgroupMatrixLoad<Right, row_major>(&b_tile, 0u, FN);
  var sum: array<Result, CHAINS>;
  // @unroll
  for (var c = 0u; c < CHAINS; c++) {
    sum[c] = Result(f32(c));
  }
  for (var i = 0u; i < ITERATIONS; i++) {
    // @unroll
    for (var u = 0u; u < UNROLL; u++) {
      // @unroll
      for (var c = 0u; c < CHAINS; c++) {
        sum[c] = subgroupMatrixMultiplyAccumulate(a, b, sum[c]);
      }
    }
  }
  var total = 0.0f;
  // @unroll
  for (var c = 0u; c < CHAINS; c++) {
    workgroupBarrier();
    subgroupMatrixStore<row_major>(&stage, 0u, sum[c], FN);
    workgroupBarrier();
    total += stage[local % STAGE];
  }
  y[group.x * LANES + local] = total;
}
