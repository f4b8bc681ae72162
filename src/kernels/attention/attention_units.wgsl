// Subgroup matrices as Dawn has them (webgpu 0.6.2): type parameters are columns, rows; strides count elements. Included by
// attention_matrix, which declares the tiles, F and the sizes. test/kernels has another body for these, of plain WGSL.
alias Left = subgroup_matrix_left<F, FK, FM>;
alias Right = subgroup_matrix_right<F, FN, FK>;
alias Result = subgroup_matrix_result<f32, FN, FM>;

// Queries from `row` on, their elements from `k` on.
fn query_at(row: u32, k: u32) -> Left {
  return subgroupMatrixLoad<Left, row_major>(&q_tile, row * HEAD_LINE + k, HEAD_LINE);
}

// The weights of keys from `k` on in the rows from `row` on.
fn weights_at(row: u32, k: u32) -> Left {
  return subgroupMatrixLoad<Left, row_major>(&weights, row * WEIGHT_LINE + k, WEIGHT_LINE);
}

// Elements from `k` on of the keys from `key` on, a key a column.
fn key_at(key: u32, k: u32) -> Right {
  return subgroupMatrixLoad<Right, col_major>(&kv_tile, key * HEAD_LINE + k, HEAD_LINE);
}

// Values from `key` on, their elements from `col` on.
fn value_at(key: u32, col: u32) -> Right {
  return subgroupMatrixLoad<Right, row_major>(&kv_tile, key * HEAD_LINE + col, HEAD_LINE);
}

fn multiply_accumulate(a: Left, b: Right, sum: Result) -> Result {
  return subgroupMatrixMultiplyAccumulate(a, b, sum);
}

// To `stage`, and back.
fn put(row: u32, col: u32, sum: Result) {
  subgroupMatrixStore<row_major>(&stage, row * STAGE_LINE + col, sum, STAGE_LINE);
}

fn take(row: u32, col: u32) -> Result {
  return subgroupMatrixLoad<Result, row_major>(&stage, row * STAGE_LINE + col, STAGE_LINE);
}
