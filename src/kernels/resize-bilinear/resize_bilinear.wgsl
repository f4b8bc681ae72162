// Bilinear resize, channels last; the taps are those of corners aligned or halved; one invocation an element of y.
// Grid: ceil(COUNT / 64) workgroups, folded into x and y.
// x [B, H_IN, W_IN, K] f32; y [B, H_OUT, W_OUT, K] f32.
const COUNT: u32 = 115200u; // B * H_OUT * W_OUT * K
const K: u32 = 2u;
const H_IN: u32 = 17u;
const W_IN: u32 = 17u;
const H_OUT: u32 = 240u;
const W_OUT: u32 = 240u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

// @include tap

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
  let k = i % K;
  let pixel = i / K;
  let across = tap(pixel % W_OUT, W_IN, W_OUT);
  let down = tap((pixel / W_OUT) % H_OUT, H_IN, H_OUT);
  let image = (pixel / (W_OUT * H_OUT)) * H_IN;
  let above = (image + down.low) * W_IN;
  let below = (image + down.high) * W_IN;
  let top = mix(x[(above + across.low) * K + k], x[(above + across.high) * K + k], across.share);
  let bottom = mix(x[(below + across.low) * K + k], x[(below + across.high) * K + k], across.share);
  y[i] = mix(top, bottom, down.share);
}
