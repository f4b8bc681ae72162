/**
 * What an update multiplies its gradients with: the inverse of the loss scale, and the clipping coefficient of
 * torch.nn.utils.clip_grad_norm_, min(1, max / (norm + 1e-6)) with the Euclidean norm over all tensors.
 *
 * Operands: norms f32 [n], each tensor's sum of squares as `square_sum` leaves it (-1: not finite); hyper f32 [2] =
 * (inverse loss scale, maximum norm; 0 clips nothing). Result: control f32 [2 + n]: [0] the factor; [1] the total norm once
 * the loss scale is out; [2 + i] each tensor's norm, likewise. Where something is not finite, the factor is 0, and its norm
 * and the total are -1: then `adam` and `sgd` leave everything as it is.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { describe, sizeOf, tensorType } from '../../runtime/tensor-type';
import wgsl from './clip_scale.wgsl';

export const clipScaleOp: Op<null> = {
  name: 'clip_scale',

  infer(inputs) {
    const [norms, hyper] = inputs;
    if (
      inputs.length !== 2 ||
      norms!.dtype !== 'f32' ||
      norms!.shape.length !== 1 ||
      describe(hyper!) !== 'f32[2]'
    ) {
      throw new ShapeError(
        `clip_scale takes norms f32 [n] and hyper f32 [2], not ${inputs.map(describe).join(', ')}.`,
      );
    }
    return [tensorType('f32', [2 + norms!.shape[0]!])];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs }, caps) {
        const n = inputs[0]!.shape[0]!;
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'clip_scale', wgsl },
              constants: { N: n },
              bindings: { norms: { input: 0 }, hyper: { input: 1 }, control: { output: 0 } },
              workgroups: foldGrid(Math.ceil(n / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: ({ inputs }) => 3 * sizeOf(inputs[0]!),
};

/** control f32 [2 + n] of the sums of squares f32 [n] and hyper f32 [2] = (inverse loss scale, maximum norm or 0). */
export function clipScale(g: Graph, norms: Tensor, hyper: Tensor): Tensor {
  return g.apply(clipScaleOp, [norms, hyper], null)[0]!;
}
