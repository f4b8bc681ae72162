// How kernels that bring tiles of x and w to workgroup memory read a slice of BK terms that begins at `slice`; what is past the end of
// the sum, or of x or w, is zero. Included by kernels that declare the sizes and bind x and w as vec4.
//
// Load `i` of a slice brings 4 neighbours: along K, terms 4 (i % (BK / 4)) of line i / (BK / 4); or, where K is the slow axis, lines
// 4 (i % (BM / 4)) of term i / (BM / 4).
fn load_a(i: u32, row0: u32, slice: u32, end: u32) -> vec4<X> {
  // @if X_KM
  let k = slice + i / (BM / 4u);
  let row = row0 + i % (BM / 4u) * 4u;
  let at = (k * M + row) / 4u;
  // @else
  let k = slice + i % (BK / 4u) * 4u;
  let row = row0 + i / (BK / 4u);
  let at = (row * K + k) / 4u;
  // @end
  if (k < end && row < M) {
    return x[at];
  }
  return vec4<X>();
}

fn load_b(i: u32, col0: u32, slice: u32, end: u32) -> vec4<W> {
  // @if W_KN
  let k = slice + i / (BN / 4u);
  let col = col0 + i % (BN / 4u) * 4u;
  let at = (k * N + col) / 4u;
  // @else
  let k = slice + i % (BK / 4u) * 4u;
  let col = col0 + i / (BK / 4u);
  let at = (col * K + k) / 4u;
  // @end
  if (k < end && col < N) {
    return w[at];
  }
  return vec4<W>();
}
