/**
 * Gradient of softmax over the last axis, from its result: dx = y (dy - sum_c y dy).
 *
 * Operands: y f32|f16 [..., C], rows that sum to 1; dy like y. Result: dx like y; the sum is f32.
 */
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { describe, sizeOf } from '../../runtime/tensor-type';
import { rowKernels } from './rows';
import plainWgsl from './softmax_backward_plain.wgsl';
import subgroupWgsl from './softmax_backward_subgroup.wgsl';
import workgroupWgsl from './softmax_backward_workgroup.wgsl';

export const softmaxBackwardOp: Op<null> = {
  name: 'softmax_backward',

  infer([y, dy]) {
    if (!y || y.dtype === 'u32' || y.shape.length < 1 || !dy) {
      throw new ShapeError('softmax_backward takes y f32 or f16 [..., C] and dy like it.');
    }
    if (describe(dy) !== describe(y)) {
      throw new ShapeError(`softmax_backward: dy must be ${describe(y)}, not ${describe(dy)}.`);
    }
    return [y];
  },

  ...rowKernels(
    'softmax_backward',
    { plain: plainWgsl, workgroup: workgroupWgsl, subgroup: subgroupWgsl },
    { y: { input: 0 }, dy: { input: 1 }, dx: { output: 0 } },
  ),

  flops: ({ inputs }) => 4 * sizeOf(inputs[0]!),
};

/** dL/dx of y = softmax(x) from y and dL/dy. */
export function softmaxBackward(g: Graph, y: Tensor, dy: Tensor): Tensor {
  return g.apply(softmaxBackwardOp, [y, dy], null)[0]!;
}
