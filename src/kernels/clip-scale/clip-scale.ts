/**
 * What an update multiplies its gradients with: the inverse of the loss scale, and the clipping coefficient of
 * torch.nn.utils.clip_grad_norm_, min(1, max / (norm + 1e-6)) with the Euclidean norm over all tensors.
 *
 * Operands: norms f32 [n], each tensor's sum of squares as `square_sum` leaves it (-1: not finite); hyper f32 [2] =
 * (inverse loss scale, maximum norm; 0 clips nothing). Result: control f32 [2 + n]: [0] the factor; [1] the total norm once
 * the loss scale is out; [2 + i] each tensor's norm, likewise. Where something is not finite, the factor is 0, and its norm
 * and the total are -1: then `adam` and `sgd` leave everything as it is. attrs: how many tensors, the last ones, are `watched` alone
 * (losses): they count for no norm, but must be finite too.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { describe, sizeOf, tensorType } from '../../runtime/tensor-type';
import wgsl from './clip_scale.wgsl';

export interface ClipScaleAttrs {
  readonly watched: number;
}

export const clipScaleOp: Op<ClipScaleAttrs> = {
  name: 'clip_scale',

  infer(inputs, { watched }) {
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
    const n = norms!.shape[0]!;
    if (!Number.isInteger(watched) || watched < 0 || watched > n)
      throw new ShapeError(`clip_scale cannot watch ${watched} of ${n} tensors.`);
    return [tensorType('f32', [2 + n])];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, attrs }, caps) {
        const n = inputs[0]!.shape[0]!;
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'clip_scale', wgsl },
              constants: { N: n, COUNTED: n - attrs.watched },
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

/**
 * control f32 [2 + n] of the sums of squares f32 [n] and hyper f32 [2] = (inverse loss scale, maximum norm or 0).
 * @param watched of the tensors, the last ones, that must be finite and count for nothing else.
 */
export function clipScale(g: Graph, norms: Tensor, hyper: Tensor, watched = 0): Tensor {
  return g.apply(clipScaleOp, [norms, hyper], { watched })[0]!;
}
