// Stand-ins for attention_backward_units.wgsl in plain WGSL, for adapters without matrix units. A factor is its place: tile (0: rows_1,
// 1: rows_2, 2: ds, 3: p; 0: slice_1 across, 1: slice_2 across, 2: slice_1 along, 3: slice_2 along), and the row or column and term where it
// begins. A result is zero (w = 0) or its place: of scores and dp, in `stage` itself, where nothing else lies meanwhile; of sums, in
// workgroup memory of their own. Every invocation of a subgroup has each LANES-th element.
alias Left = vec3<u32>;
alias Right = vec3<u32>;
alias Result = vec4<u32>;

var<workgroup> sums: array<f32, SUMS>; // BR * SIZE, twice

fn own_lane() -> u32 {
  return subgroupExclusiveAdd(1u);
}

fn rows_1_at(row: u32, k: u32) -> Left {
  return vec3<u32>(0u, row, k);
}

fn rows_2_at(row: u32, k: u32) -> Left {
  return vec3<u32>(1u, row, k);
}

fn ds_at(row: u32, k: u32) -> Left {
  return vec3<u32>(2u, row, k);
}

fn p_at(row: u32, k: u32) -> Left {
  return vec3<u32>(3u, row, k);
}

fn slice_1_across(col: u32, k: u32) -> Right {
  return vec3<u32>(0u, col, k);
}

fn slice_2_across(col: u32, k: u32) -> Right {
  return vec3<u32>(1u, col, k);
}

fn slice_1_along(k: u32, col: u32) -> Right {
  return vec3<u32>(2u, col, k);
}

fn slice_2_along(k: u32, col: u32) -> Right {
  return vec3<u32>(3u, col, k);
}

fn left_element(tile: u32, row: u32, k: u32) -> f32 {
  if (tile == 0u) {
    return f32(rows_1[row * HEAD_LINE + k]);
  }
  if (tile == 1u) {
    return f32(rows_2[row * HEAD_LINE + k]);
  }
  // @if KEYS
  if (tile == 3u) {
    return f32(p_tile[row * WEIGHT_LINE + k]);
  }
  // @end
  return f32(ds_tile[row * WEIGHT_LINE + k]);
}

fn right_element(tile: u32, col: u32, k: u32) -> f32 {
  if (tile == 0u) {
    return f32(slice_1[col * HEAD_LINE + k]);
  }
  if (tile == 1u) {
    return f32(slice_2[col * HEAD_LINE + k]);
  }
  if (tile == 2u) {
    return f32(slice_1[k * HEAD_LINE + col]);
  }
  return f32(slice_2[k * HEAD_LINE + col]);
}

fn element(kind: u32, row: u32, col: u32) -> f32 {
  if (kind < 2u) {
    return stage[kind * SCORES + row * SCORE_LINE + col];
  }
  return sums[((kind - 2u) * BR + row) * 4u * QUADS + col];
}

fn multiply_accumulate(a: Left, b: Right, sum: Result) -> Result {
  for (var e = own_lane(); e < FM * FN; e += LANES) {
    let row = a.y + e / FN;
    let col = b.y + e % FN;
    var v = 0.0f;
    if (sum.w != 0u) {
      v = element(sum.x, row, col);
    }
    for (var k = 0u; k < FK; k++) {
      v += left_element(a.x, row, a.z + k) * right_element(b.x, col, b.z + k);
    }
    if (b.x < 2u) {
      stage[b.x * SCORES + row * SCORE_LINE + col] = v;
    } else {
      sums[((b.x - 2u) * BR + row) * 4u * QUADS + col] = v;
    }
  }
  return vec4<u32>(b.x, a.y, b.y, 1u);
}

fn put(at: u32, sum: Result, line: u32) {
  for (var e = own_lane(); e < FM * FN; e += LANES) {
    var v = 0.0f;
    if (sum.w != 0u) {
      v = element(sum.x, sum.y + e / FN, sum.z + e % FN);
    }
    stage[at + e / FN * line + e % FN] = v;
  }
}

fn put_score(at: u32, sum: Result) {
  put(at, sum, SCORE_LINE);
}

fn put_sum(at: u32, sum: Result) {
  put(at, sum, SUM_LINE);
}
