/**
 * One step of Adam (Kingma and Ba 2015, algorithm 1; torch.optim.Adam) or AdamW (Loshchilov and Hutter 2019;
 * torch.optim.AdamW), in place. With g = factor gradient [+ decay w, unless decoupled]:
 *   m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2,
 *   w = w - lr (m c1 / (sqrt(v c2) + eps) [+ decay w, if decoupled]).
 *
 * Operands: w, m, v f32 of one shape, weights, which change; gradient f32 of that shape (a weight or any other tensor);
 * control f32 [2 or more], as `clip_scale` gives it: [0] factor, [1] total norm, negative where something is not finite; hyper
 * f32 [8] = (lr, beta1, beta2, eps, decay, c1 = 1/(1 - beta1^t), c2 = 1/(1 - beta2^t), active), t from 1. attrs: decoupled,
 * AdamW. Where active is 0 or the total norm is negative, nothing changes. An effect: no results.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { describe, sizeOf } from '../../runtime/tensor-type';
import wgsl from './adam.wgsl';

export interface AdamAttrs {
  readonly decoupled: boolean;
}

export const adamOp: Op<AdamAttrs> = {
  name: 'adam',
  writes: [0, 1, 2],

  infer(inputs) {
    const types = inputs.map(describe);
    const [w, m, v, gradient, control, hyper] = types;
    const states = w !== undefined && w === m && w === v && w === gradient && inputs[0]!.dtype === 'f32';
    if (types.length !== 6 || !states || hyper !== 'f32[8]' || !/^f32\[\d+\]$/.test(control!)) {
      throw new ShapeError(
        `adam takes w, m, v and gradient f32 of one shape, control f32 [k] and hyper f32 [8], not ${types.join(', ')}.`,
      );
    }
    if (sizeOf(inputs[4]!) < 2) throw new ShapeError('adam: control has a factor and a norm.');
    return [];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, attrs }, caps) {
        const count = Math.ceil(sizeOf(inputs[0]!) / 4);
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'adam', wgsl },
              constants: { COUNT: count },
              flags: attrs.decoupled ? ['DECOUPLED'] : [],
              bindings: {
                w: { input: 0 },
                m: { input: 1 },
                v: { input: 2 },
                gradient: { input: 3 },
                control: { input: 4 },
                hyper: { input: 5 },
              },
              workgroups: foldGrid(Math.ceil(count / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: ({ inputs }) => 16 * sizeOf(inputs[0]!),
};

/** One step of Adam (AdamW with `decoupled`) on the weight w and its moments m and v, in place. */
export function adam(
  g: Graph,
  w: Tensor,
  m: Tensor,
  v: Tensor,
  gradient: Tensor,
  control: Tensor,
  hyper: Tensor,
  attrs: AdamAttrs = { decoupled: false },
): void {
  g.apply(adamOp, [w, m, v, gradient, control, hyper], attrs);
}
