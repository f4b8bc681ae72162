/**
 * Row gather: y[n, c] = x[min(rows[n], R - 1), c].
 *
 * Operands: x f32|f16 [R, C]; rows u32 [N]. Result: y like x, [N, C]. The host checks the indices; one past the end reads
 * the last row, so that no value of `rows` can read outside x.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { sizeOf, tensorType } from '../../runtime/tensor-type';
import wgsl from './gather_rows.wgsl';
import { gatherRowsBackward } from './gather-rows-backward';

export const gatherRowsOp: Op<null> = {
  name: 'gather_rows',

  infer([x, rows]) {
    if (!x || x.dtype === 'u32' || x.shape.length !== 2 || rows?.dtype !== 'u32' || rows.shape.length !== 1) {
      throw new ShapeError('gather_rows takes x f32 or f16 [R, C] and rows u32 [N].');
    }
    return [tensorType(x.dtype, [rows.shape[0]!, x.shape[1]!])];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, outputs }, caps) {
        const [ROWS, COLS] = inputs[0]!.shape as [number, number];
        const count = sizeOf(outputs[0]!);
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'gather_rows', wgsl },
              constants: { COUNT: count, ROWS, COLS },
              types: { T: inputs[0]!.dtype },
              bindings: { x: { input: 0 }, rows: { input: 1 }, y: { output: 0 } },
              workgroups: foldGrid(Math.ceil(count / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: () => 0,

  // A row passes its gradient to the row that it was read from; the rows' numbers have none.
  backward({ graph, input, inputTypes, outputGradients: [dy] }) {
    return [gatherRowsBackward(graph, input(1), dy!, inputTypes[0]!.shape[0]!), undefined];
  },
};

/** y[n] = x[rows[n]]; x [R, C], rows u32 [N] -> [N, C]. */
export function gatherRows(g: Graph, x: Tensor, rows: Tensor): Tensor {
  return g.apply(gatherRowsOp, [x, rows], null)[0]!;
}
