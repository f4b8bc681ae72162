// Stand-ins for subgroup_matrix.wgsl in plain WGSL, for adapters without matrix units. A matrix is its place in the tile (row or
// column, term); sums lie in workgroup memory, which begins as zeros, where every invocation of a subgroup has each LANES-th element.
alias Left = vec2<u32>;
alias Right = vec2<u32>;
alias Result = vec2<u32>;

var<workgroup> sums: array<f32, SUMS>; // BM * BN

fn own_lane() -> u32 {
  return subgroupExclusiveAdd(1u);
}

fn left_at(row: u32, k: u32) -> Left {
  return vec2<u32>(row, k);
}

fn right_at(col: u32, k: u32) -> Right {
  return vec2<u32>(col, k);
}

fn multiply_accumulate(a: Left, b: Right, sum: Result) -> Result {
  for (var e = own_lane(); e < FM * FN; e += LANES) {
    let row = a.x + e / FN;
    let col = b.x + e % FN;
    var v = sums[row * BN + col];
    for (var k = 0u; k < FK; k++) {
      // @if X_KM
      let left = a_tile[(a.y + k) * A_LINE + row];
      // @else
      let left = a_tile[row * A_LINE + a.y + k];
      // @end
      // @if W_KN
      let right = b_tile[(b.y + k) * B_LINE + col];
      // @else
      let right = b_tile[col * B_LINE + b.y + k];
      // @end
      v += f32(left) * f32(right);
    }
    sums[row * BN + col] = v;
  }
  return vec2<u32>(a.x, b.x);
}

fn put(at: u32, sum: Result) {
  for (var e = own_lane(); e < FM * FN; e += LANES) {
    stage[at + e] = sums[(sum.x + e / FN) * BN + sum.y + e % FN];
  }
}
