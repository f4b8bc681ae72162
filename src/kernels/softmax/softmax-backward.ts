/**
 * Gradient of softmax over the last axis, from its result: dx = y (dy - sum_c y dy).
 *
 * Operands: y f32|f16 [..., C], rows that sum to 1; dy like y. Result: dx like y; the sum is f32.
 */
import { type Capabilities, foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Lowering, Op, OpCall } from '../../runtime/op';
import { describe, sizeOf } from '../../runtime/tensor-type';
import { subgroupRowObstacle, subgroupRowPays } from '../subgroup-rows';
import plainWgsl from './softmax_backward_plain.wgsl';
import subgroupWgsl from './softmax_backward_subgroup.wgsl';
import workgroupWgsl from './softmax_backward_workgroup.wgsl';

const colsOf = ({ inputs }: Pick<OpCall<null>, 'inputs'>) => inputs[0]!.shape.at(-1)!;

function lowering(
  { inputs }: OpCall<null>,
  caps: Capabilities,
  variant: string,
  wgsl: string,
  rowsPerWorkgroup: number,
): Lowering {
  const COLS = colsOf({ inputs });
  const ROWS = sizeOf(inputs[0]!) / COLS;
  return {
    variant,
    dispatches: [
      {
        kernel: { name: `softmax_backward_${variant}`, wgsl },
        constants: { ROWS, COLS, ...(variant === 'subgroup' && { LANES: caps.subgroupMinSize }) },
        types: { T: inputs[0]!.dtype },
        bindings: { y: { input: 0 }, dy: { input: 1 }, dx: { output: 0 } },
        workgroups: foldGrid(Math.ceil(ROWS / rowsPerWorkgroup), caps),
      },
    ],
  };
}

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

  variants: [
    { name: 'plain', lower: (call, caps) => lowering(call, caps, 'plain', plainWgsl, 16) },
    { name: 'workgroup', lower: (call, caps) => lowering(call, caps, 'workgroup', workgroupWgsl, 1) },
    {
      name: 'subgroup',
      lower: (call, caps) =>
        subgroupRowObstacle(colsOf(call), 1, caps) ?? lowering(call, caps, 'subgroup', subgroupWgsl, 1),
    },
  ],

  choose(call, caps) {
    if (caps.software || colsOf(call) < 64) return 'plain';
    return subgroupRowPays(colsOf(call), 1, caps) ? 'subgroup' : 'workgroup';
  },

  flops: ({ inputs }) => 4 * sizeOf(inputs[0]!),
};

/** dL/dx of y = softmax(x) from y and dL/dy. */
export function softmaxBackward(g: Graph, y: Tensor, dy: Tensor): Tensor {
  return g.apply(softmaxBackwardOp, [y, dy], null)[0]!;
}
