/**
 * Gradient of L2 normalisation of the last axis. With n = |x| and u = x / n:
 *   dx = (dy - u (u . dy)) / n where n > eps;   dx = dy / eps elsewhere, where y = x / eps.
 *
 * Operands: x f32|f16 [..., C]; dy like x. Result: dx like x. Norm and product are f32.
 */
import { type Capabilities, foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Lowering, Op, OpCall } from '../../runtime/op';
import { describe, sizeOf } from '../../runtime/tensor-type';
import plainWgsl from './l2_normalize_backward_plain.wgsl';
import workgroupWgsl from './l2_normalize_backward_workgroup.wgsl';
import type { L2NormalizeAttrs } from './l2-normalize';

function lowering(
  { inputs, attrs }: OpCall<L2NormalizeAttrs>,
  caps: Capabilities,
  variant: string,
  wgsl: string,
  rowsPerWorkgroup: number,
): Lowering {
  const COLS = inputs[0]!.shape.at(-1)!;
  const ROWS = sizeOf(inputs[0]!) / COLS;
  return {
    variant,
    dispatches: [
      {
        kernel: { name: `l2_normalize_backward_${variant}`, wgsl },
        constants: { ROWS, COLS, EPS: attrs.eps },
        types: { T: inputs[0]!.dtype },
        bindings: { x: { input: 0 }, dy: { input: 1 }, dx: { output: 0 } },
        workgroups: foldGrid(Math.ceil(ROWS / rowsPerWorkgroup), caps),
      },
    ],
  };
}

export const l2NormalizeBackwardOp: Op<L2NormalizeAttrs> = {
  name: 'l2_normalize_backward',

  infer([x, dy], { eps }) {
    if (!x || x.dtype === 'u32' || x.shape.length < 1 || !dy) {
      throw new ShapeError('l2_normalize_backward takes x f32 or f16 [..., C] and dy like it.');
    }
    if (describe(dy) !== describe(x)) {
      throw new ShapeError(`l2_normalize_backward: dy must be ${describe(x)}, not ${describe(dy)}.`);
    }
    if (!(eps > 0)) throw new ShapeError(`l2_normalize_backward: eps must be above 0, not ${eps}.`);
    return [x];
  },

  variants: [
    { name: 'plain', lower: (call, caps) => lowering(call, caps, 'plain', plainWgsl, 16) },
    { name: 'workgroup', lower: (call, caps) => lowering(call, caps, 'workgroup', workgroupWgsl, 1) },
  ],

  choose({ inputs }, caps) {
    return caps.software || inputs[0]!.shape.at(-1)! < 64 ? 'plain' : 'workgroup';
  },

  flops: ({ inputs }) => 8 * sizeOf(inputs[0]!),
};

/** dL/dx of y = x / max(|x|, eps) from x and dL/dy. */
export function l2NormalizeBackward(g: Graph, x: Tensor, dy: Tensor, eps: number): Tensor {
  return g.apply(l2NormalizeBackwardOp, [x, dy], { eps })[0]!;
}
