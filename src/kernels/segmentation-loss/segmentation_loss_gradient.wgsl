// Losses and gradient from the totals of each image, one invocation a pixel; the first also adds up the losses.
// Grid: ceil(B * N / 64) workgroups, folded into x and y.
// p, gradient [B, N, 2]; masks [B, N]; weights [B]; scale [1]; totals [B, 6] of focal, p1 t, p1, t, p0 (1 - t), p0;
// loss [2] = (focal, dice); all f32.
const B: u32 = 16u;
const N: u32 = 57600u;

@group(0) @binding(0) var<storage, read> p: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> masks: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read> totals: array<f32>;
@group(0) @binding(5) var<storage, read_write> loss: array<f32>;
@group(0) @binding(6) var<storage, read_write> gradient: array<vec2<f32>>;

// @include FOCAL

struct Dice {
  ratio: f32, // (2 sum p t + 1) / size
  size: f32, // sum p + sum t + 1
}

fn dice_of(both: f32, found: f32, wanted: f32) -> Dice {
  let size = found + wanted + 1.0f;
  return Dice((2.0f * both + 1.0f) / size, size);
}

fn abnormal_dice(image: u32) -> Dice {
  return dice_of(totals[6u * image + 1u], totals[6u * image + 2u], totals[6u * image + 3u]);
}

fn normal_dice(image: u32) -> Dice {
  return dice_of(totals[6u * image + 4u], totals[6u * image + 5u], f32(N) - totals[6u * image + 3u]);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= B * N) {
    return;
  }
  let image = i / N;
  var slope = vec2(0.0f);
  if (weights[image] != 0.0f) {
    let t = masks[i];
    slope = focal_slope(p[i], t > 0.5f) / f32(N);
    // 1 - ratio by p: (ratio - 2 t) / size.
    let abnormal = abnormal_dice(image);
    slope.y += (abnormal.ratio - 2.0f * t) / abnormal.size;
    // @if NORMAL
    let normal = normal_dice(image);
    slope.x += (normal.ratio - 2.0f * (1.0f - t)) / normal.size;
    // @end
    slope *= scale[0] * weights[image];
  }
  gradient[i] = slope;
  if (i == 0u) {
    // The totals of an image of weight 0 are 0: finite, whatever its pixels hold.
    var sum = vec2(0.0f);
    for (var b = 0u; b < B; b++) {
      var dice = 1.0f - abnormal_dice(b).ratio;
      // @if NORMAL
      dice += 1.0f - normal_dice(b).ratio;
      // @end
      sum += weights[b] * vec2(totals[6u * b] / f32(N), dice);
    }
    loss[0] = sum.x;
    loss[1] = sum.y;
  }
}
