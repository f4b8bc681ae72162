// Subgroup matrices as Dawn has them (webgpu 0.6.2): type parameters are columns, rows; strides count elements. Included by
// attention_backward_matrix, which declares the tiles, F and the sizes. test/kernels has another body for these, of plain WGSL.
alias Left = subgroup_matrix_left<F, FK, FM>;
alias Right = subgroup_matrix_right<F, FN, FK>;
alias Result = subgroup_matrix_result<f32, FN, FM>;

// The part of a tile that begins with row `row` and term `k`.
fn rows_1_at(row: u32, k: u32) -> Left {
  return subgroupMatrixLoad<Left, row_major>(&rows_1, row * HEAD_LINE + k, HEAD_LINE);
}

fn rows_2_at(row: u32, k: u32) -> Left {
  return subgroupMatrixLoad<Left, row_major>(&rows_2, row * HEAD_LINE + k, HEAD_LINE);
}

fn ds_at(row: u32, k: u32) -> Left {
  return subgroupMatrixLoad<Left, row_major>(&ds_tile, row * WEIGHT_LINE + k, WEIGHT_LINE);
}

// @if KEYS
fn p_at(row: u32, k: u32) -> Left {
  return subgroupMatrixLoad<Left, row_major>(&p_tile, row * WEIGHT_LINE + k, WEIGHT_LINE);
}
// @end

// Tokens of the slice from `col` on, a token a column, their elements from `k` on.
fn slice_1_across(col: u32, k: u32) -> Right {
  return subgroupMatrixLoad<Right, col_major>(&slice_1, col * HEAD_LINE + k, HEAD_LINE);
}

fn slice_2_across(col: u32, k: u32) -> Right {
  return subgroupMatrixLoad<Right, col_major>(&slice_2, col * HEAD_LINE + k, HEAD_LINE);
}

// Tokens of the slice from `k` on, a token a row, their elements from `col` on.
fn slice_1_along(k: u32, col: u32) -> Right {
  return subgroupMatrixLoad<Right, row_major>(&slice_1, k * HEAD_LINE + col, HEAD_LINE);
}

// @if KEYS
fn slice_2_along(k: u32, col: u32) -> Right {
  return subgroupMatrixLoad<Right, row_major>(&slice_2, k * HEAD_LINE + col, HEAD_LINE);
}
// @end

fn multiply_accumulate(a: Left, b: Right, sum: Result) -> Result {
  return subgroupMatrixMultiplyAccumulate(a, b, sum);
}

fn put_score(at: u32, sum: Result) {
  subgroupMatrixStore<row_major>(&stage, at, sum, SCORE_LINE);
}

fn put_sum(at: u32, sum: Result) {
  subgroupMatrixStore<row_major>(&stage, at, sum, SUM_LINE);
}
