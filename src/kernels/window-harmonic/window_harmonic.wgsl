// Harmonic mean over windows that cover a cell, then over up to three window sizes; one invocation an element of y.
// Grid: ceil(COUNT / 64) workgroups, folded into x and y.
// x0 .. x2 [B, Ni, Ni] f32, one value a window; y [B, G, G] f32.
const COUNT: u32 = 289u; // B * G * G
const G: u32 = 17u;
const LEAST: f32 = 1e-12f;
const N0: u32 = 1u; // windows a side; a window's side is G - N + 1
// @if X1
const N1: u32 = 16u;
// @end
// @if X2
const N2: u32 = 15u;
// @end

@group(0) @binding(0) var<storage, read> x0: array<f32>;
// @if X1
@group(0) @binding(1) var<storage, read> x1: array<f32>;
// @end
// @if X2
@group(0) @binding(2) var<storage, read> x2: array<f32>;
// @end
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// The first window of n a side that covers a cell: n = G - side + 1.
fn first_window(cell: u32, n: u32) -> u32 {
  return max(cell + n, G) - G;
}

fn last_window(cell: u32, n: u32) -> u32 {
  return min(cell, n - 1u);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= COUNT) {
    return;
  }
  let across = i % G;
  let down = (i / G) % G;
  let image = i / (G * G);
  var total = 0.0f; // of the mean reciprocals
  var terms = 0.0f;
  {
    var sum = 0.0f;
    var windows = 0.0f;
    for (var r = first_window(down, N0); r <= last_window(down, N0); r++) {
      for (var c = first_window(across, N0); c <= last_window(across, N0); c++) {
        sum += 1.0f / max(x0[(image * N0 + r) * N0 + c], LEAST);
        windows += 1.0f;
      }
    }
    total += sum / windows;
    terms += 1.0f;
  }
  // @if X1
  {
    var sum = 0.0f;
    var windows = 0.0f;
    for (var r = first_window(down, N1); r <= last_window(down, N1); r++) {
      for (var c = first_window(across, N1); c <= last_window(across, N1); c++) {
        sum += 1.0f / max(x1[(image * N1 + r) * N1 + c], LEAST);
        windows += 1.0f;
      }
    }
    total += sum / windows;
    terms += 1.0f;
  }
  // @end
  // @if X2
  {
    var sum = 0.0f;
    var windows = 0.0f;
    for (var r = first_window(down, N2); r <= last_window(down, N2); r++) {
      for (var c = first_window(across, N2); c <= last_window(across, N2); c++) {
        sum += 1.0f / max(x2[(image * N2 + r) * N2 + c], LEAST);
        windows += 1.0f;
      }
    }
    total += sum / windows;
    terms += 1.0f;
  }
  // @end
  y[i] = terms / total;
}
