// Stand-ins for attention_units.wgsl in plain WGSL, for adapters without matrix units. A factor is its place: tile (0: queries, 1:
// weights; 0: keys, 1: values), and the row or column and term where it begins. A result is zero (w = 0) or its place: of
// scores, in `stage` itself, where nothing else lies meanwhile; of outputs, in workgroup memory of their own. Every invocation of a
// subgroup has each LANES-th element.
alias Left = vec3<u32>;
alias Right = vec3<u32>;
alias Result = vec4<u32>;

var<workgroup> outputs: array<f32, OUTPUTS>; // BQ * SIZE

fn own_lane() -> u32 {
  return subgroupExclusiveAdd(1u);
}

fn query_at(row: u32, k: u32) -> Left {
  return vec3<u32>(0u, row, k);
}

fn weights_at(row: u32, k: u32) -> Left {
  return vec3<u32>(1u, row, k);
}

fn key_at(key: u32, k: u32) -> Right {
  return vec3<u32>(0u, key, k);
}

fn value_at(key: u32, col: u32) -> Right {
  return vec3<u32>(1u, col, key);
}

fn multiply_accumulate(a: Left, b: Right, sum: Result) -> Result {
  for (var e = own_lane(); e < FM * FN; e += LANES) {
    let row = a.y + e / FN;
    let col = b.y + e % FN;
    var v = 0.0f;
    if (sum.w != 0u) {
      v = element(vec4<u32>(b.x, row, col, 1u));
    }
    for (var k = 0u; k < FK; k++) {
      if (b.x == 0u) {
        v += f32(q_tile[row * HEAD_LINE + a.z + k]) * f32(kv_tile[col * HEAD_LINE + b.z + k]);
      } else {
        v += f32(weights[row * WEIGHT_LINE + a.z + k]) * f32(kv_tile[(b.z + k) * HEAD_LINE + col]);
      }
    }
    if (b.x == 0u) {
      stage[row * STAGE_LINE + col] = v;
    } else {
      outputs[row * 4u * QUADS + col] = v;
    }
  }
  return vec4<u32>(b.x, a.y, b.y, 1u);
}

fn element(at: Result) -> f32 {
  if (at.x == 0u) {
    return stage[at.y * STAGE_LINE + at.z];
  }
  return outputs[at.y * 4u * QUADS + at.z];
}

fn put(row: u32, col: u32, sum: Result) {
  for (var e = own_lane(); e < FM * FN; e += LANES) {
    let at = (row + e / FN) * STAGE_LINE + col + e % FN;
    var v = 0.0f;
    if (sum.w != 0u) {
      v = element(vec4<u32>(sum.x, sum.y + e / FN, sum.z + e % FN, 1u));
    }
    stage[at] = v;
  }
}

// Only outputs come back.
fn take(row: u32, col: u32) -> Result {
  for (var e = own_lane(); e < FM * FN; e += LANES) {
    outputs[(row + e / FN) * 4u * QUADS + col + e % FN] = stage[(row + e / FN) * STAGE_LINE + col + e % FN];
  }
  return vec4<u32>(1u, row, col, 1u);
}
