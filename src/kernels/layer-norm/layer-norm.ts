/**
 * LayerNorm over the last axis (Ba, Kiros & Hinton 2016, eq. 4):
 *   y[r, c] = (x[r, c] - mean_r) / sqrt(var_r + eps) * weight[c] + bias[c],   var_r = mean_c (x[r, c] - mean_r)^2
 *
 * Operands: x f32|f16 [..., C]; weight f32 [C]; bias f32 [C]. Result: y like x. Statistics are f32 in two passes
 * (mean, then centred squares), so large means do not cancel.
 */
import { foldGrid } from '../../runtime/capabilities';
import { MlaLpError, ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Cannot, Lowering, Op, OpCall } from '../../runtime/op';
import { describe, sameShape, sizeOf } from '../../runtime/tensor-type';
import { subgroupRowObstacle, subgroupRowPays } from '../subgroup-rows';
import plainWgsl from './layer_norm_plain.wgsl';
import subgroupWgsl from './layer_norm_subgroup.wgsl';
import workgroupWgsl from './layer_norm_workgroup.wgsl';
import { layerNormBackward } from './layer-norm-backward';

export interface LayerNormAttrs {
  readonly eps: number;
}

function constants(call: OpCall<LayerNormAttrs>) {
  const cols = call.inputs[0]!.shape.at(-1)!;
  return { ROWS: sizeOf(call.inputs[0]!) / cols, COLS: cols, EPS: call.attrs.eps };
}

const bindings = { x: { input: 0 }, weight: { input: 1 }, bias: { input: 2 }, y: { output: 0 } };

export const layerNormOp: Op<LayerNormAttrs> = {
  name: 'layer_norm',

  infer([x, weight, bias], { eps }) {
    const cols = x?.shape.at(-1);
    if (!x || !weight || !bias || cols === undefined || !(eps > 0)) {
      throw new ShapeError('layer_norm takes x [..., C], weight [C], bias [C] and eps > 0.');
    }
    for (const p of [weight, bias]) {
      if (p.dtype !== 'f32' || !sameShape(p.shape, [cols])) {
        throw new ShapeError(`layer_norm: weight and bias must be f32[${cols}], not ${describe(p)}.`);
      }
    }
    return [x];
  },

  variants: [
    {
      name: 'plain',
      lower(call, caps): Lowering {
        const c = constants(call);
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'layer_norm_plain', wgsl: plainWgsl },
              constants: c,
              types: { T: call.inputs[0]!.dtype },
              bindings,
              workgroups: foldGrid(Math.ceil(c.ROWS / 16), caps),
            },
          ],
        };
      },
    },
    {
      name: 'workgroup',
      lower(call, caps): Lowering {
        const c = constants(call);
        return {
          variant: 'workgroup',
          dispatches: [
            {
              kernel: { name: 'layer_norm_workgroup', wgsl: workgroupWgsl },
              constants: c,
              types: { T: call.inputs[0]!.dtype },
              bindings,
              workgroups: foldGrid(c.ROWS, caps),
            },
          ],
        };
      },
    },
    {
      name: 'subgroup',
      lower(call, caps): Lowering | Cannot {
        const { ROWS, COLS, EPS } = constants(call);
        const LANES = caps.subgroupMinSize;
        const obstacle = subgroupRowObstacle(COLS, 4, caps);
        if (obstacle) return obstacle;
        return {
          variant: 'subgroup',
          dispatches: [
            {
              kernel: { name: 'layer_norm_subgroup', wgsl: subgroupWgsl },
              constants: { ROWS, QUADS: COLS / 4, EPS, LANES },
              types: { T: call.inputs[0]!.dtype },
              bindings,
              workgroups: foldGrid(ROWS, caps),
            },
          ],
        };
      },
    },
  ],

  choose(call, caps) {
    if (caps.software) return 'plain';
    // No barrier instead of 18.
    return subgroupRowPays(constants(call).COLS, 4, caps) ? 'subgroup' : 'workgroup';
  },

  flops(call) {
    return 8 * sizeOf(call.inputs[0]!);
  },

  // y = u w + b with u = (x - mean) r, r = 1 / sqrt(var + eps). Of g = dL/du = dy w, x moves u directly by r, through the mean
  // by -r / C for all columns, and through r: dr/dx_c = -r^2 u_c / C. So dx = r (g - mean(g) - u mean(g u)).
  // What the residual around the norm contributed is added on the way out.
  backward({ graph, attrs, input, outputGradients: [dy], needed, absorb }) {
    if (needed[1] || needed[2]) {
      throw new MlaLpError(
        'bad-value',
        "LayerNorm's weight and bias have no backward.",
        'Train only tensors that are adapters or prompts.',
      );
    }
    return [layerNormBackward(graph, input(0), input(1), dy!, attrs.eps, absorb(0)), undefined, undefined];
  },
};

/** y = LayerNorm(x) * weight + bias; x [..., C]. */
export function layerNorm(g: Graph, x: Tensor, weight: Tensor, bias: Tensor, eps = 1e-5): Tensor {
  return g.apply(layerNormOp, [x, weight, bias], { eps })[0]!;
}
