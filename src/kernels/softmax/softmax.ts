/**
 * Softmax of the last axis: y[r, c] = exp(x[r, c] - max_r) / sum_c exp(x[r, c] - max_r). The maximum is subtracted, so finite
 * x never overflows.
 *
 * Operand: x f32|f16 [..., C]. Result: y like x; maximum and sum are f32.
 */
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { describe, sizeOf } from '../../runtime/tensor-type';
import { rowKernels } from './rows';
import plainWgsl from './softmax_plain.wgsl';
import subgroupWgsl from './softmax_subgroup.wgsl';
import workgroupWgsl from './softmax_workgroup.wgsl';
import { softmaxBackward } from './softmax-backward';

export const softmaxOp: Op<null> = {
  name: 'softmax',

  infer([x]) {
    if (!x || x.dtype === 'u32' || x.shape.length < 1) {
      throw new ShapeError(`softmax takes x f32 or f16 [..., C], not ${x ? describe(x) : 'nothing'}.`);
    }
    return [x];
  },

  ...rowKernels(
    'softmax',
    { plain: plainWgsl, workgroup: workgroupWgsl, subgroup: subgroupWgsl },
    { x: { input: 0 }, y: { output: 0 } },
  ),

  flops: ({ inputs }) => 5 * sizeOf(inputs[0]!),

  // dy_j/dx_c = y_j ([j = c] - y_c), so dx_c = y_c (dy_c - sum_j y_j dy_j).
  backward({ graph, output, outputGradients: [dy] }) {
    return [softmaxBackward(graph, output(0), dy!)];
  },
};

/** Softmax along the last axis; x [..., C]. */
export function softmax(g: Graph, x: Tensor): Tensor {
  return g.apply(softmaxOp, [x], null)[0]!;
}
