/**
 * MLA-LP's segmentation loss of one stage (eq. 11): focal plus dice of class probabilities against masks, and its gradient.
 *
 * Operands: p f32 [B, H, W, 2], probabilities (class 1 abnormal); masks f32 [B, H, W], t of 0 or 1; weights f32 [B], each
 * image's share of the mean (1/n for the n images with a mask, 0 for the others); scale f32 [1], the factor on the gradient
 * (loss scaling). Results: loss f32 [2] = (focal, dice), not scaled; gradient f32 [B, H, W, 2] = scale d(focal + dice)/dp,
 * both classes taken for independent. With the sums over an image's N = H W pixels,
 *   focal = sum_b w_b/N sum -(1 - q)^2 log q, q = (1 - s) p_t + s p_(1-t) + s, s = 1e-5 (gamma 2, alpha 1),
 *   dice = sum_b w_b (1 - (2 sum p_1 t + 1) / (sum p_1 + sum t + 1)) [+ the same of p_0 and 1 - t, with normalDice],
 * as the authors' code has them (normalDice is eq. 11's third term, which it leaves out).
 *
 * Batches mix images with and without masks: an image of weight 0 gives a loss and a gradient of exactly 0, whatever its p
 * and mask are, and a batch without any mask (all weights 0) is legal.
 */
import { type Capabilities, foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Lowering, Op, OpCall } from '../../runtime/op';
import { describe, sizeOf, tensorType } from '../../runtime/tensor-type';
import focalWgsl from './focal.wgsl';
import gradientWgsl from './segmentation_loss_gradient.wgsl';
import plainWgsl from './segmentation_loss_plain.wgsl';
import totalsWgsl from './segmentation_loss_totals.wgsl';
import workgroupWgsl from './segmentation_loss_workgroup.wgsl';

export interface SegmentationLossAttrs {
  readonly normalDice: boolean;
}

/** Sums that the losses of an image are made of. */
const SUMS = 6;

/** Sums of pixels into parts, of parts into totals, then losses and gradient. */
function lowering(
  { inputs, attrs }: OpCall<SegmentationLossAttrs>,
  caps: Capabilities,
  kernel: {
    readonly variant: string;
    readonly wgsl: string;
    readonly pixels: number;
    readonly perWorkgroup: number;
  },
): Lowering {
  const [batch, height, width] = inputs[0]!.shape as [number, number, number];
  const pixels = height * width;
  const parts = Math.ceil(pixels / kernel.pixels);
  const includes = { FOCAL: focalWgsl };
  return {
    variant: kernel.variant,
    scratch: [tensorType('f32', [batch, SUMS, parts]), tensorType('f32', [batch, SUMS])],
    dispatches: [
      {
        kernel: { name: `segmentation_loss_${kernel.variant}`, wgsl: kernel.wgsl, includes },
        constants: { B: batch, N: pixels, PARTS: parts },
        bindings: { p: { input: 0 }, masks: { input: 1 }, weights: { input: 2 }, sums: { scratch: 0 } },
        workgroups: foldGrid(Math.ceil((batch * parts) / kernel.perWorkgroup), caps),
      },
      {
        kernel: { name: 'segmentation_loss_totals', wgsl: totalsWgsl },
        constants: { COUNT: batch * SUMS, PARTS: parts },
        bindings: { sums: { scratch: 0 }, totals: { scratch: 1 } },
        workgroups: foldGrid(Math.ceil((batch * SUMS) / 64), caps),
      },
      {
        kernel: { name: 'segmentation_loss_gradient', wgsl: gradientWgsl, includes },
        constants: { B: batch, N: pixels },
        flags: attrs.normalDice ? ['NORMAL'] : [],
        bindings: {
          p: { input: 0 },
          masks: { input: 1 },
          weights: { input: 2 },
          scale: { input: 3 },
          totals: { scratch: 1 },
          loss: { output: 0 },
          gradient: { output: 1 },
        },
        workgroups: foldGrid(Math.ceil((batch * pixels) / 64), caps),
      },
    ],
  };
}

export const segmentationLossOp: Op<SegmentationLossAttrs> = {
  name: 'segmentation_loss',

  infer(inputs) {
    const [p] = inputs;
    const [batch, height, width] = p?.shape ?? [];
    const want = [
      `f32[${batch},${height},${width},2]`,
      `f32[${batch},${height},${width}]`,
      `f32[${batch}]`,
      'f32[1]',
    ];
    if (inputs.map(describe).join(' ') !== want.join(' ')) {
      throw new ShapeError(
        `segmentation_loss takes p f32 [B, H, W, 2], masks f32 [B, H, W], weights f32 [B] and scale f32 [1], not ${inputs.map(describe).join(', ')}.`,
      );
    }
    return [tensorType('f32', [2]), p!];
  },

  variants: [
    {
      name: 'plain',
      lower: (call, caps) =>
        lowering(call, caps, { variant: 'plain', wgsl: plainWgsl, pixels: 256, perWorkgroup: 64 }),
    },
    {
      name: 'workgroup',
      lower: (call, caps) =>
        lowering(call, caps, { variant: 'workgroup', wgsl: workgroupWgsl, pixels: 2048, perWorkgroup: 1 }),
    },
  ],

  choose: ({ inputs }, caps) => (caps.software || sizeOf(inputs[1]!) < 4096 ? 'plain' : 'workgroup'),

  flops: ({ inputs }) => 50 * sizeOf(inputs[1]!),
};

/** Focal and dice loss f32 [2] of p [B, H, W, 2] against masks [B, H, W], and scale * d(focal + dice)/dp like p. */
export function segmentationLoss(
  g: Graph,
  p: Tensor,
  masks: Tensor,
  weights: Tensor,
  scale: Tensor,
  attrs: SegmentationLossAttrs,
): { loss: Tensor; gradient: Tensor } {
  const [loss, gradient] = g.apply(segmentationLossOp, [p, masks, weights, scale], attrs);
  return { loss: loss!, gradient: gradient! };
}
