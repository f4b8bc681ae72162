/**
 * Gradient of LayerNorm by its input. With r = 1 / sqrt(var + eps), u = (x - mean) r and g = dy * weight:
 *   dx = r (g - mean_c(g) - u mean_c(g u)) + addend
 *
 * Operands, in this order: x f32|f16 [..., C]; weight f32 [C]; dy like x; addend like x if any. Result: dx like x. Statistics
 * are f32, those of x taken anew in two passes as forward does.
 */
import { type Capabilities, foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Lowering, Op, OpCall, Operand } from '../../runtime/op';
import { describe, sameShape, sizeOf } from '../../runtime/tensor-type';
import { subgroupRowObstacle, subgroupRowPays } from '../subgroup-rows';
import plainWgsl from './layer_norm_backward_plain.wgsl';
import subgroupWgsl from './layer_norm_backward_subgroup.wgsl';
import workgroupWgsl from './layer_norm_backward_workgroup.wgsl';
import type { LayerNormAttrs } from './layer-norm';

const colsOf = ({ inputs }: Pick<OpCall<LayerNormAttrs>, 'inputs'>) => inputs[0]!.shape.at(-1)!;

function lowering(
  { inputs, attrs }: OpCall<LayerNormAttrs>,
  caps: Capabilities,
  variant: string,
  wgsl: string,
  rowsPerWorkgroup: number,
): Lowering {
  const [x, , , addend] = inputs;
  const COLS = colsOf({ inputs });
  const ROWS = sizeOf(x!) / COLS;
  const bindings: Record<string, Operand> = {
    x: { input: 0 },
    weight: { input: 1 },
    dy: { input: 2 },
    dx: { output: 0 },
  };
  if (addend) bindings.addend = { input: 3 };
  return {
    variant,
    dispatches: [
      {
        kernel: { name: `layer_norm_backward_${variant}`, wgsl },
        constants: {
          ...{ ROWS, EPS: attrs.eps },
          ...(variant === 'subgroup' ? { QUADS: COLS / 4, LANES: caps.subgroupMinSize } : { COLS }),
        },
        types: { T: x!.dtype },
        flags: addend ? ['ADDEND'] : [],
        bindings,
        workgroups: foldGrid(Math.ceil(ROWS / rowsPerWorkgroup), caps),
      },
    ],
  };
}

export const layerNormBackwardOp: Op<LayerNormAttrs> = {
  name: 'layer_norm_backward',

  infer([x, weight, dy, addend], { eps }) {
    const cols = x?.shape.at(-1);
    if (!x || x.dtype === 'u32' || !weight || !dy || cols === undefined || !(eps > 0)) {
      throw new ShapeError(
        'layer_norm_backward takes x [..., C], weight [C], dy and perhaps an addend like x, and eps > 0.',
      );
    }
    if (weight.dtype !== 'f32' || !sameShape(weight.shape, [cols])) {
      throw new ShapeError(`layer_norm_backward: weight must be f32[${cols}], not ${describe(weight)}.`);
    }
    for (const t of addend ? [dy, addend] : [dy]) {
      if (describe(t) !== describe(x)) {
        throw new ShapeError(
          `layer_norm_backward: dy and addend must be ${describe(x)}, not ${describe(t)}.`,
        );
      }
    }
    return [x];
  },

  variants: [
    { name: 'plain', lower: (call, caps) => lowering(call, caps, 'plain', plainWgsl, 16) },
    { name: 'workgroup', lower: (call, caps) => lowering(call, caps, 'workgroup', workgroupWgsl, 1) },
    {
      name: 'subgroup',
      lower: (call, caps) =>
        subgroupRowObstacle(colsOf(call), 4, caps) ?? lowering(call, caps, 'subgroup', subgroupWgsl, 1),
    },
  ],

  choose(call, caps) {
    if (caps.software) return 'plain';
    return subgroupRowPays(colsOf(call), 4, caps) ? 'subgroup' : 'workgroup';
  },

  flops: ({ inputs }) => 16 * sizeOf(inputs[0]!),
};

/** dL/dx of LayerNorm(x) from dL/dy, plus `addend` if given. */
export function layerNormBackward(
  g: Graph,
  x: Tensor,
  weight: Tensor,
  dy: Tensor,
  eps: number,
  addend?: Tensor,
): Tensor {
  return g.apply(layerNormBackwardOp, addend ? [x, weight, dy, addend] : [x, weight, dy], { eps })[0]!;
}
