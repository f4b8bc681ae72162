/**
 * What the next stage sees (MLA-LP, eq. 4): y = gamma x + alpha a + beta b, elementwise.
 *
 * Operands: x, a (segmentation adapter), b (detection adapter), f32|f16, of one type. Result: y like x, summed in f32.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { describe, sizeOf } from '../../runtime/tensor-type';
import wgsl from './residual_mix.wgsl';

export interface ResidualMixAttrs {
  readonly gamma: number;
  readonly alpha: number;
  readonly beta: number;
}

export const residualMixOp: Op<ResidualMixAttrs> = {
  name: 'residual_mix',

  infer([x, a, b], { gamma, alpha, beta }) {
    if (!x || !a || !b || x.dtype === 'u32' || describe(a) !== describe(x) || describe(b) !== describe(x)) {
      throw new ShapeError('residual_mix takes three tensors of one floating-point type.');
    }
    if (![gamma, alpha, beta].every(Number.isFinite)) {
      throw new ShapeError(`residual_mix: the shares ${gamma}, ${alpha}, ${beta} must be finite.`);
    }
    return [x];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, attrs }, caps) {
        const count = sizeOf(inputs[0]!);
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'residual_mix', wgsl },
              constants: { COUNT: count, GAMMA: attrs.gamma, ALPHA: attrs.alpha, BETA: attrs.beta },
              types: { T: inputs[0]!.dtype },
              bindings: { x: { input: 0 }, a: { input: 1 }, b: { input: 2 }, y: { output: 0 } },
              workgroups: foldGrid(Math.ceil(count / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: ({ inputs }) => 5 * sizeOf(inputs[0]!),
};

/** y = gamma x + alpha a + beta b; all of one shape and type. */
export function residualMix(g: Graph, x: Tensor, a: Tensor, b: Tensor, shares: ResidualMixAttrs): Tensor {
  return g.apply(residualMixOp, [x, a, b], shares)[0]!;
}
