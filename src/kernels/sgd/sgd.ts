/**
 * One step of stochastic gradient descent with momentum (torch.optim.SGD, dampening 0), in place. With g = factor gradient +
 * decay w:
 *   b = momentum b + g (the first step: b = g),  w = w - lr (nesterov ? g + momentum b : b).
 *
 * Operands: w, b f32 of one shape, weights, which change; gradient f32 of that shape (a weight or any other tensor); control
 * f32 [2 or more], as `clip_scale` gives it: [0] factor, [1] total norm, negative where something is not finite; hyper f32 [8] =
 * (lr, momentum, nesterov 0|1, 0, decay, first 0|1, 0, active 0|1). A first step does not look at b. Where active is 0 or the
 * total norm is negative, nothing changes (and the next step is the first still). An effect: no results.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { describe, sizeOf } from '../../runtime/tensor-type';
import wgsl from './sgd.wgsl';

export const sgdOp: Op<null> = {
  name: 'sgd',
  writes: [0, 1],

  infer(inputs) {
    const types = inputs.map(describe);
    const [w, b, gradient, control, hyper] = types;
    const states = w !== undefined && w === b && w === gradient && inputs[0]!.dtype === 'f32';
    if (types.length !== 5 || !states || hyper !== 'f32[8]' || !/^f32\[\d+\]$/.test(control!)) {
      throw new ShapeError(
        `sgd takes w, b and gradient f32 of one shape, control f32 [k] and hyper f32 [8], not ${types.join(', ')}.`,
      );
    }
    if (sizeOf(inputs[3]!) < 2) throw new ShapeError('sgd: control has a factor and a norm.');
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
              kernel: { name: 'sgd', wgsl },
              constants: { COUNT: count },
              bindings: {
                w: { input: 0 },
                b: { input: 1 },
                gradient: { input: 2 },
                control: { input: 3 },
                hyper: { input: 4 },
              },
              workgroups: foldGrid(Math.ceil(count / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: ({ inputs }) => 8 * sizeOf(inputs[0]!),
};

/** One step of SGD on the weight w and its momentum b, in place. */
export function sgd(g: Graph, w: Tensor, b: Tensor, gradient: Tensor, control: Tensor, hyper: Tensor): void {
  g.apply(sgdOp, [w, b, gradient, control, hyper], null);
}
