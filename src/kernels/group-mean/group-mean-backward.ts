/**
 * Gradient of means over groups of successive rows: dx[n, c] = dy[g, c] / counts[g] for each row n of group g.
 *
 * Operand: dy f32 [G, C]. Result: dx f32|f16 [N, C], N the sum of counts.
 */
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { type Dtype, describe, sizeOf, tensorType } from '../../runtime/tensor-type';
import wgsl from './group_mean_backward.wgsl';
import { groupDispatches } from './group-dispatches';

export interface GroupMeanBackwardAttrs {
  /** Rows of each group. */
  readonly counts: readonly number[];
  /** Of the result. */
  readonly dtype: Dtype;
}

export const groupMeanBackwardOp: Op<GroupMeanBackwardAttrs> = {
  name: 'group_mean_backward',

  infer([dy], { counts, dtype }) {
    if (dy?.dtype !== 'f32' || dy.shape.length !== 2 || dtype === 'u32') {
      throw new ShapeError(
        `group_mean_backward takes dy f32 [G, C] and gives f32 or f16, not ${dy ? describe(dy) : 'nothing'} and ${dtype}.`,
      );
    }
    if (!counts.every((n) => Number.isSafeInteger(n) && n > 0) || counts.length !== dy.shape[0]) {
      throw new ShapeError(
        `group_mean_backward: groups of ${counts.join(', ')} rows are not the ${dy.shape[0]} of dy.`,
      );
    }
    const rows = counts.reduce((sum, n) => sum + n, 0);
    return [tensorType(dtype, [rows, dy.shape[1]!])];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, attrs }, caps) {
        const cols = inputs[0]!.shape[1]!;
        const shared = {
          kernel: { name: 'group_mean_backward', wgsl },
          types: { T: attrs.dtype },
          bindings: { dy: { input: 0 }, dx: { output: 0 } },
        };
        const dispatches = groupDispatches(attrs.counts, shared, cols, (rows) => rows * cols, caps);
        return { variant: 'plain', dispatches };
      },
    },
  ],

  choose: () => 'plain',

  flops: ({ outputs }) => sizeOf(outputs[0]!),
};

/** dL/dx of group means from dL/dy f32 [G, C]. */
export function groupMeanBackward(g: Graph, dy: Tensor, attrs: GroupMeanBackwardAttrs): Tensor {
  return g.apply(groupMeanBackwardOp, [dy], attrs)[0]!;
}
