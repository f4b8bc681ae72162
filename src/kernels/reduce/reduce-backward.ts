/**
 * Gradient of a sum or a mean over one axis: dx[o, a, i] = dy[o, i], that over A for means.
 *
 * Operand: dy f32 [...outer, ...inner]. Result: dx f32|f16 [...outer, A, ...inner].
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { type Dtype, describe, sizeOf, tensorType } from '../../runtime/tensor-type';
import wgsl from './reduce_backward.wgsl';

export interface ReduceBackwardAttrs {
  /** Place of the reduced axis in the result, from 0. */
  readonly axis: number;
  /** A, the number of terms. */
  readonly length: number;
  readonly kind: 'sum' | 'mean';
  /** Of the result. */
  readonly dtype: Dtype;
}

export const reduceBackwardOp: Op<ReduceBackwardAttrs> = {
  name: 'reduce_backward',

  infer([dy], { axis, length, dtype }) {
    if (dy?.dtype !== 'f32' || dtype === 'u32') {
      throw new ShapeError(
        `reduce_backward takes dy f32 and gives f32 or f16, not ${dy ? describe(dy) : 'nothing'} and ${dtype}.`,
      );
    }
    if (!Number.isSafeInteger(axis) || axis < 0 || axis > dy.shape.length) {
      throw new ShapeError(`reduce_backward: ${describe(dy)} takes no axis at ${axis}.`);
    }
    return [tensorType(dtype, dy.shape.toSpliced(axis, 0, length))];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, outputs, attrs }, caps) {
        const { axis, length, kind, dtype } = attrs;
        const product = (part: readonly number[]) => part.reduce((p, n) => p * n, 1);
        const { shape } = inputs[0]!;
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'reduce_backward', wgsl },
              constants: {
                OUTER: product(shape.slice(0, axis)),
                AXIS: length,
                INNER: product(shape.slice(axis)),
                DIVISOR: kind === 'mean' ? length : 1,
              },
              types: { T: dtype },
              bindings: { dy: { input: 0 }, dx: { output: 0 } },
              workgroups: foldGrid(Math.ceil(sizeOf(outputs[0]!) / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: ({ outputs }) => sizeOf(outputs[0]!),
};

/** dL/dx of a sum or mean over one axis from dL/dy. */
export function reduceBackward(g: Graph, dy: Tensor, attrs: ReduceBackwardAttrs): Tensor {
  return g.apply(reduceBackwardOp, [dy], attrs)[0]!;
}
