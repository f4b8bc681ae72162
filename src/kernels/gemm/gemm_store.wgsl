// Where a finished element of y goes; with Y_QUADS four neighbours, from column `col` on. Included by the variants, which declare N, Y and
// the binding `y`.
// @if HALVES
// Columns from HALF on are a result of their own.
const HALF: u32 = 18u;
// @if Y_QUADS
@group(0) @binding(5) var<storage, read_write> y2: array<vec4<Y>>;
// @else
@group(0) @binding(5) var<storage, read_write> y2: array<Y>;
// @end
// @end

// @if Y_QUADS
fn store(row: u32, col: u32, v: vec4<Y>) {
  // @if HALVES
  if (col < HALF) {
    y[(row * HALF + col) / 4u] = v;
  } else {
    y2[(row * HALF + col - HALF) / 4u] = v;
  }
  // @else
  y[(row * N + col) / 4u] = v;
  // @end
}
// @else
fn store(row: u32, col: u32, v: Y) {
  // @if HALVES
  if (col < HALF) {
    y[row * HALF + col] = v;
  } else {
    y2[row * HALF + col - HALF] = v;
  }
  // @else
  y[row * N + col] = v;
  // @end
}
// @end
