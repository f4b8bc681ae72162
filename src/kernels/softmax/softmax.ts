/**
 * Softmax of the last axis: y[r, c] = exp(x[r, c] - max_r) / sum_c exp(x[r, c] - max_r). The maximum is subtracted, so finite
 * x never overflows.
 *
 * Operand: x f32|f16 [..., C]. Result: y like x; maximum and sum are f32.
 */
import { type Capabilities, foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Lowering, Op, OpCall } from '../../runtime/op';
import { describe, sizeOf } from '../../runtime/tensor-type';
import { subgroupRowObstacle, subgroupRowPays } from '../subgroup-rows';
import plainWgsl from './softmax_plain.wgsl';
import subgroupWgsl from './softmax_subgroup.wgsl';
import workgroupWgsl from './softmax_workgroup.wgsl';
import { softmaxBackward } from './softmax-backward';

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
        kernel: { name: `softmax_${variant}`, wgsl },
        constants: { ROWS, COLS, ...(variant === 'subgroup' && { LANES: caps.subgroupMinSize }) },
        types: { T: inputs[0]!.dtype },
        bindings: { x: { input: 0 }, y: { output: 0 } },
        workgroups: foldGrid(Math.ceil(ROWS / rowsPerWorkgroup), caps),
      },
    ],
  };
}

export const softmaxOp: Op<null> = {
  name: 'softmax',

  infer([x]) {
    if (!x || x.dtype === 'u32' || x.shape.length < 1) {
      throw new ShapeError(`softmax takes x f32 or f16 [..., C], not ${x ? describe(x) : 'nothing'}.`);
    }
    return [x];
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
    // Two classes a pixel: a workgroup a row would idle.
    if (caps.software || colsOf(call) < 64) return 'plain';
    return subgroupRowPays(colsOf(call), 1, caps) ? 'subgroup' : 'workgroup';
  },

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
