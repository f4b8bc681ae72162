/**
 * Gradient of a step in micro-batches: acc = keep acc + factor gradient, elementwise and in place.
 *
 * Operands: acc f32, a weight, which changes; gradient f32 of its shape; hyper f32 [2] = (keep, factor). keep = 0 does not
 * look at acc: whatever stood there, NaN included, is gone. An effect: no results.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { describe, sizeOf } from '../../runtime/tensor-type';
import wgsl from './accumulate.wgsl';

export const accumulateOp: Op<null> = {
  name: 'accumulate',
  writes: [0],

  infer(inputs) {
    const [acc, gradient, hyper] = inputs.map(describe);
    if (inputs.length !== 3 || inputs[0]!.dtype !== 'f32' || acc !== gradient || hyper !== 'f32[2]') {
      throw new ShapeError(
        `accumulate takes acc and gradient f32 of one shape, and hyper f32 [2], not ${inputs.map(describe).join(', ')}.`,
      );
    }
    return [];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs }, caps) {
        const count = Math.ceil(sizeOf(inputs[0]!) / 4);
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'accumulate', wgsl },
              constants: { COUNT: count },
              bindings: { acc: { input: 0 }, gradient: { input: 1 }, hyper: { input: 2 } },
              workgroups: foldGrid(Math.ceil(count / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: ({ inputs }) => 3 * sizeOf(inputs[0]!),
};

/** acc = hyper[0] acc + hyper[1] gradient, in place; hyper[0] = 0 starts anew. */
export function accumulate(g: Graph, acc: Tensor, gradient: Tensor, hyper: Tensor): void {
  g.apply(accumulateOp, [acc, gradient, hyper], null);
}
