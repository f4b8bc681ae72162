// One class's probability at image size, summed over up to seven stages; one invocation a pixel of y.
// Grid: ceil(COUNT / 64) workgroups, folded into x and y.
// x0 .. x6 [B, H_IN, W_IN, K] f32, logits; y [B, H_OUT, W_OUT] f32.
const COUNT: u32 = 57600u; // B * H_OUT * W_OUT
const K: u32 = 2u;
const CLASS: u32 = 1u;
const H_IN: u32 = 17u;
const W_IN: u32 = 17u;
const H_OUT: u32 = 240u;
const W_OUT: u32 = 240u;
const LOWEST: f32 = -3.4028234e38f;

@group(0) @binding(0) var<storage, read> x0: array<f32>;
// @if X1
@group(0) @binding(1) var<storage, read> x1: array<f32>;
// @end
// @if X2
@group(0) @binding(2) var<storage, read> x2: array<f32>;
// @end
// @if X3
@group(0) @binding(3) var<storage, read> x3: array<f32>;
// @end
// @if X4
@group(0) @binding(4) var<storage, read> x4: array<f32>;
// @end
// @if X5
@group(0) @binding(5) var<storage, read> x5: array<f32>;
// @end
// @if X6
@group(0) @binding(6) var<storage, read> x6: array<f32>;
// @end
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

// Where a pixel reads: its four cells' first logits (upper left, upper right, lower left, lower right) and the shares of right and low.
struct Corners {
  at: vec4<u32>,
  right: f32,
  low: f32,
}

fn blend(v: vec4<f32>, c: Corners) -> f32 {
  return mix(mix(v.x, v.y, c.right), mix(v.z, v.w, c.right), c.low);
}

// @include tap

// @include stages

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
  let across = tap(i % W_OUT, W_IN, W_OUT);
  let down = tap((i / W_OUT) % H_OUT, H_IN, H_OUT);
  let image = (i / (W_OUT * H_OUT)) * H_IN;
  let above = (image + down.low) * W_IN;
  let below = (image + down.high) * W_IN;
  let cells = vec4<u32>(above + across.low, above + across.high, below + across.low, below + across.high);
  let corners = Corners(K * cells, across.share, down.share);
  var sum = stage0(corners);
  // @if X1
  sum += stage1(corners);
  // @end
  // @if X2
  sum += stage2(corners);
  // @end
  // @if X3
  sum += stage3(corners);
  // @end
  // @if X4
  sum += stage4(corners);
  // @end
  // @if X5
  sum += stage5(corners);
  // @end
  // @if X6
  sum += stage6(corners);
  // @end
  y[i] = sum;
}
