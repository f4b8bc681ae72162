/**
 * One class summed over stages (MLA-LP, eq. 8 and 10): y[...] = sum_s x_s[..., c].
 *
 * Operands: 1 to 7 tensors f32 [..., K] of one shape (with the result, the eight storage buffers that every device has).
 * Result: y f32 [...].
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op, Operand } from '../../runtime/op';
import { describe, sizeOf, tensorType } from '../../runtime/tensor-type';
import wgsl from './class_sum.wgsl';

export interface ClassSumAttrs {
  /** Class to sum, from 0. */
  readonly index: number;
}

const MOST = 7;

export const classSumOp: Op<ClassSumAttrs> = {
  name: 'class_sum',

  infer(xs, { index }) {
    const [first] = xs;
    if (!first || xs.length > MOST) {
      throw new ShapeError(`class_sum takes 1 to ${MOST} tensors, not ${xs.length}.`);
    }
    const classes = first.shape.at(-1);
    if (first.dtype !== 'f32' || classes === undefined || xs.some((x) => describe(x) !== describe(first))) {
      throw new ShapeError('class_sum: all tensors must be f32 [..., K] of one shape.');
    }
    if (!Number.isSafeInteger(index) || index < 0 || index >= classes) {
      throw new ShapeError(`class_sum: ${describe(first)} has no class ${index}.`);
    }
    return [tensorType('f32', first.shape.slice(0, -1))];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, outputs, attrs }, caps) {
        const count = sizeOf(outputs[0]!);
        const bindings: Record<string, Operand> = { y: { output: 0 } };
        inputs.forEach((_, i) => {
          bindings[`x${i}`] = { input: i };
        });
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'class_sum', wgsl },
              constants: { COUNT: count, K: inputs[0]!.shape.at(-1)!, CLASS: attrs.index },
              flags: inputs.slice(1).map((_, i) => `X${i + 1}`),
              bindings,
              workgroups: foldGrid(Math.ceil(count / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: ({ inputs, outputs }) => inputs.length * sizeOf(outputs[0]!),
};

/** Sum over `xs` of x[..., index]; 1 to 7 tensors f32 [..., K] -> f32 [...]. */
export function classSum(g: Graph, xs: readonly Tensor[], index: number): Tensor {
  return g.apply(classSumOp, xs, { index })[0]!;
}
