/**
 * L2 normalisation of the last axis: y[r] = x[r] / max(|x[r]|, eps), |.| the Euclidean norm (torch.nn.functional.normalize).
 *
 * Operand: x f32|f16 [..., C]. Result: y like x. The norm is f32, so elements beyond 1e19 overflow its squares and elements
 * below 1e-19 vanish in them.
 */
import { type Capabilities, foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Lowering, Op, OpCall } from '../../runtime/op';
import { describe, sizeOf } from '../../runtime/tensor-type';
import plainWgsl from './l2_normalize_plain.wgsl';
import workgroupWgsl from './l2_normalize_workgroup.wgsl';
import { l2NormalizeBackward } from './l2-normalize-backward';

export interface L2NormalizeAttrs {
  readonly eps: number;
}

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
        kernel: { name: `l2_normalize_${variant}`, wgsl },
        constants: { ROWS, COLS, EPS: attrs.eps },
        types: { T: inputs[0]!.dtype },
        bindings: { x: { input: 0 }, y: { output: 0 } },
        workgroups: foldGrid(Math.ceil(ROWS / rowsPerWorkgroup), caps),
      },
    ],
  };
}

export const l2NormalizeOp: Op<L2NormalizeAttrs> = {
  name: 'l2_normalize',

  infer([x], { eps }) {
    if (!x || x.dtype === 'u32' || x.shape.length < 1) {
      throw new ShapeError(`l2_normalize takes x f32 or f16 [..., C], not ${x ? describe(x) : 'nothing'}.`);
    }
    if (!(eps > 0)) throw new ShapeError(`l2_normalize: eps must be above 0, not ${eps}.`);
    return [x];
  },

  variants: [
    { name: 'plain', lower: (call, caps) => lowering(call, caps, 'plain', plainWgsl, 16) },
    { name: 'workgroup', lower: (call, caps) => lowering(call, caps, 'workgroup', workgroupWgsl, 1) },
  ],

  choose({ inputs }, caps) {
    return caps.software || inputs[0]!.shape.at(-1)! < 64 ? 'plain' : 'workgroup';
  },

  flops: ({ inputs }) => 3 * sizeOf(inputs[0]!),

  // y = x / n, dn/dx = x / n = u: dx = dy / n - x (x . dy) / n^3 = (dy - u (u . dy)) / n. Where n is clamped to eps it is
  // constant: dx = dy / eps.
  backward({ graph, attrs, input, outputGradients: [dy] }) {
    return [l2NormalizeBackward(graph, input(0), dy!, attrs.eps)];
  },
};

/** y = x / max(|x|, eps) along the last axis; x [..., C]. */
export function l2Normalize(g: Graph, x: Tensor, eps = 1e-12): Tensor {
  return g.apply(l2NormalizeOp, [x], { eps })[0]!;
}
