// Subgroup matrices as Dawn has them (webgpu 0.6.2): type parameters are columns, rows; strides count elements. Included by
// gemm_matrix, which declares the tiles, T and the sizes. test/kernels has another body for these, of plain WGSL.
alias Left = subgroup_matrix_left<T, FK, FM>;
alias Right = subgroup_matrix_right<T, FN, FK>;
alias Result = subgroup_matrix_result<f32, FN, FM>;

// The part of a_tile that begins with row `row` and term `k` of the slice.
fn left_at(row: u32, k: u32) -> Left {
  // @if X_KM
  return subgroupMatrixLoad<Left, col_major>(&a_tile, k * A_LINE + row, A_LINE);
  // @else
  return subgroupMatrixLoad<Left, row_major>(&a_tile, row * A_LINE + k, A_LINE);
  // @end
}

// The part of b_tile that begins with column `col` and term `k` of the slice.
fn right_at(col: u32, k: u32) -> Right {
  // @if W_KN
  return subgroupMatrixLoad<Right, row_major>(&b_tile, k * B_LINE + col, B_LINE);
  // @else
  return subgroupMatrixLoad<Right, col_major>(&b_tile, col * B_LINE + k, B_LINE);
  // @end
}

fn multiply_accumulate(a: Left, b: Right, sum: Result) -> Result {
  return subgroupMatrixMultiplyAccumulate(a, b, sum);
}

// Into `stage`, row by row, from `at` on.
fn put(at: u32, sum: Result) {
  subgroupMatrixStore<row_major>(&stage, at, sum, FN);
}
