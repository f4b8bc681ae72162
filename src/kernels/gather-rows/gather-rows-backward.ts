/**
 * Gradient of a row gather: dx[r, c] = sum of dy[n, c] over all n with min(rows[n], R - 1) = r; zeros where nobody gathered.
 * Each row looks for its readers, so repeats are bit-identical without atomics; made for few gathered rows.
 *
 * Operands: rows u32 [N]; dy f32|f16 [N, C]. Result: dx like dy, [R, C], summed in f32.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { describe, sizeOf, tensorType } from '../../runtime/tensor-type';
import wgsl from './gather_rows_backward.wgsl';

export interface GatherRowsBackwardAttrs {
  /** R, rows of forward's x. */
  readonly count: number;
}

export const gatherRowsBackwardOp: Op<GatherRowsBackwardAttrs> = {
  name: 'gather_rows_backward',

  infer([rows, dy], { count }) {
    if (rows?.dtype !== 'u32' || rows.shape.length !== 1 || !dy || dy.dtype === 'u32') {
      throw new ShapeError('gather_rows_backward takes rows u32 [N] and dy f32 or f16 [N, C].');
    }
    if (dy.shape.length !== 2 || dy.shape[0] !== rows.shape[0]) {
      throw new ShapeError(`gather_rows_backward: dy must be [${rows.shape[0]}, C], not ${describe(dy)}.`);
    }
    return [tensorType(dy.dtype, [count, dy.shape[1]!])];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs: [, dy], outputs }, caps) {
        const [N, COLS] = dy!.shape as [number, number];
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'gather_rows_backward', wgsl },
              constants: { ROWS: outputs[0]!.shape[0]!, COLS, N },
              types: { T: dy!.dtype },
              bindings: { rows: { input: 0 }, dy: { input: 1 }, dx: { output: 0 } },
              workgroups: foldGrid(Math.ceil(sizeOf(outputs[0]!) / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: ({ inputs }) => sizeOf(inputs[1]!),
};

/** dL/dx [count, C] of y[n] = x[rows[n]] from dL/dy [N, C]. */
export function gatherRowsBackward(g: Graph, rows: Tensor, dy: Tensor, count: number): Tensor {
  return g.apply(gatherRowsBackwardOp, [rows, dy], { count })[0]!;
}
