// What every GEMM does with a finished sum: bias, activation, residual, each with its factor (MIX); and where it goes. Included by the
// variants, which declare N, Y and the bindings `bias`, `residual` and `y`.
// @if MIX
const OWN: f32 = 0.1f;
const REST: f32 = 0.8f;
// @end
// @if HALVES
// Columns from HALF on are a result of their own.
const HALF: u32 = 18u;
// @if Y_QUADS
@group(0) @binding(5) var<storage, read_write> y2: array<vec4<Y>>;
// @else
@group(0) @binding(5) var<storage, read_write> y2: array<Y>;
// @end
// @end

fn epilogue(sum: f32, row: u32, col: u32) -> f32 {
  var v = sum;
  // @if BIAS
  v += bias[col];
  // @end
  // @if GELU
  v = gelu(v);
  // @end
  // @if QUICK_GELU
  v = quick_gelu(v);
  // @end
  // @if LEAKY_RELU
  v = leaky_relu(v);
  // @end
  // @if MIX
  v = OWN * v + REST * f32(residual[row * N + col]);
  // @else
  // @if RESIDUAL
  v += f32(residual[row * N + col]);
  // @end
  // @end
  return v;
}

// @if Y_QUADS
// Four neighbours, from column `col` on.
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
