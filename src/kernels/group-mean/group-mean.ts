/**
 * Mean over groups of successive rows: y[g, c] = mean of x[n, c] over the counts[g] rows of group g, the groups one after
 * another. With the features of a class's prompts as a group, MLA-LP's text columns (eq. 3).
 *
 * Operand: x f32|f16 [N, C], N the sum of counts. Result: y f32 [G, C], one row a count.
 */
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { describe, sizeOf, tensorType } from '../../runtime/tensor-type';
import wgsl from './group_mean.wgsl';
import { groupDispatches } from './group-dispatches';
import { groupMeanBackward } from './group-mean-backward';

export interface GroupMeanAttrs {
  /** Rows of each group. */
  readonly counts: readonly number[];
}

export const groupMeanOp: Op<GroupMeanAttrs> = {
  name: 'group_mean',

  infer([x], { counts }) {
    if (!x || x.dtype === 'u32' || x.shape.length !== 2) {
      throw new ShapeError(`group_mean takes x f32 or f16 [N, C], not ${x ? describe(x) : 'nothing'}.`);
    }
    const rows = counts.reduce((sum, n) => sum + n, 0);
    if (!counts.every((n) => Number.isSafeInteger(n) && n > 0) || rows !== x.shape[0]) {
      throw new ShapeError(`group_mean: groups of ${counts.join(', ')} rows are not the ${x.shape[0]} of x.`);
    }
    return [tensorType('f32', [counts.length, x.shape[1]!])];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, attrs }, caps) {
        const { dtype, shape } = inputs[0]!;
        const cols = shape[1]!;
        const shared = {
          kernel: { name: 'group_mean', wgsl },
          types: { T: dtype },
          bindings: { x: { input: 0 }, y: { output: 0 } },
        };
        return {
          variant: 'plain',
          dispatches: groupDispatches(attrs.counts, shared, cols, () => cols, caps),
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: ({ inputs }) => sizeOf(inputs[0]!),

  // y is linear: each row of group g gets dy_g / counts[g].
  backward({ graph, attrs, inputTypes, outputGradients: [dy] }) {
    return [groupMeanBackward(graph, dy!, { counts: attrs.counts, dtype: inputTypes[0]!.dtype })];
  },
};

/** Mean over each group of successive rows; x [N, C] -> f32 [G, C], the sum of `counts` being N. */
export function groupMean(g: Graph, x: Tensor, counts: readonly number[]): Tensor {
  return g.apply(groupMeanOp, [x], { counts })[0]!;
}
