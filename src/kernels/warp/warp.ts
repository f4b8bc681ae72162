/**
 * Affine warp of images, as torch.nn.functional.affine_grid and grid_sample do it with align_corners=False, bilinear,
 * padding_mode='reflection': y at (x_n, y_n), in coordinates whose -1 and 1 are the outer edges, is x at
 * (a x_n + b y_n + c, d x_n + e y_n + f), mirrored at the edges as often as needed.
 *
 * Operands: x f32 [B, C, S, S], finite; transforms f32 [B, 6] = (a, b, c, d, e, f). Result: y f32 [B, C, S, S]. Sources are
 * computed in pixels about the centre and in two parts, so that up to S = 2048 no rounding but that of the transforms moves
 * them: identity and flips copy exactly. attrs: threshold makes masks of masks, 1 where the sample is above 0.5, else 0. A
 * sample within 1e-5 of a tie (a mask's edge moved by half a pixel) counts as one and gives 0, so that rounding decides none.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { describe, sizeOf } from '../../runtime/tensor-type';
import wgsl from './warp.wgsl';

export interface WarpAttrs {
  readonly threshold: boolean;
}

export const warpOp: Op<WarpAttrs> = {
  name: 'warp',

  infer(inputs) {
    const [x] = inputs;
    const [batch, channels, side] = x?.shape ?? [];
    const want = [`f32[${batch},${channels},${side},${side}]`, `f32[${batch},6]`];
    if (inputs.map(describe).join(' ') !== want.join(' ')) {
      throw new ShapeError(
        `warp takes x f32 [B, C, S, S] and transforms f32 [B, 6], not ${inputs.map(describe).join(', ')}.`,
      );
    }
    return [x!];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, attrs }, caps) {
        const [, channels, side] = inputs[0]!.shape as [number, number, number];
        const count = sizeOf(inputs[0]!);
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'warp', wgsl },
              constants: { COUNT: count, C: channels, S: side },
              flags: attrs.threshold ? ['THRESHOLD'] : [],
              bindings: { x: { input: 0 }, transforms: { input: 1 }, y: { output: 0 } },
              workgroups: foldGrid(Math.ceil(count / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: ({ inputs }) => 50 * sizeOf(inputs[0]!),
};

/** x [B, C, S, S] moved by transforms [B, 6]; with `threshold` masks stay masks. */
export function warp(
  g: Graph,
  x: Tensor,
  transforms: Tensor,
  attrs: WarpAttrs = { threshold: false },
): Tensor {
  return g.apply(warpOp, [x, transforms], attrs)[0]!;
}
