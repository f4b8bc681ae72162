/**
 * GEMM with a fused epilogue:
 *   y = activation(x * op(w) + bias) + residual
 *
 * Operands, in this order: x f32|f16 [..., K]; w f32|f16, [N, K] (torch.nn.Linear, op(w) = w^T) or, with `weight: 'kn'`,
 * [K, N]; bias f32 [N] if any; residual like y if any. Result: y [..., N]. Sums are f32 whatever the storage type.
 * Activations: `../activation`.
 */
import { type Capabilities, foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Cannot, Dispatch, Lowering, Op, OpCall, Operand } from '../../runtime/op';
import { type Dtype, describe, sameShape, sizeOf } from '../../runtime/tensor-type';
import { ACTIVATION_INCLUDES, type ActivationKind } from '../activation/activation';
import epilogueWgsl from './gemm_epilogue.wgsl';
import plainWgsl from './gemm_plain.wgsl';
import registersWgsl from './gemm_registers.wgsl';
import tiledWgsl from './gemm_tiled.wgsl';

const INCLUDES = { ...ACTIVATION_INCLUDES, gemm_epilogue: epilogueWgsl };

export interface GemmAttrs {
  readonly bias: boolean;
  readonly residual: boolean;
  readonly activation?: ActivationKind;
  /** Layout of w: [N, K] or [K, N]. */
  readonly weight: 'nk' | 'kn';
  /** Storage type of y; that of x without it. */
  readonly out?: Dtype;
}

interface Sizes {
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

function sizes({ inputs, attrs }: Pick<OpCall<GemmAttrs>, 'inputs' | 'attrs'>): Sizes {
  const [x, w] = inputs;
  const K = x!.shape.at(-1)!;
  return { M: sizeOf(x!) / K, N: w!.shape[attrs.weight === 'nk' ? 0 : 1]!, K };
}

function dispatch(
  call: OpCall<GemmAttrs>,
  name: string,
  wgsl: string,
  constants: Record<string, number>,
  workgroups: readonly [number, number, number],
): Lowering {
  const { bias, residual, activation } = call.attrs;
  const bindings: Record<string, Operand> = { x: { input: 0 }, w: { input: 1 }, y: { output: 0 } };
  if (bias) bindings.bias = { input: 2 };
  if (residual) bindings.residual = { input: bias ? 3 : 2 };
  const flags = [bias && 'BIAS', residual && 'RESIDUAL', activation?.toUpperCase()].filter(
    (f) => typeof f === 'string',
  );
  const only: Dispatch = {
    kernel: { name: `gemm_${name}`, wgsl, includes: INCLUDES },
    constants: { ...sizes(call), ...constants },
    types: { X: call.inputs[0]!.dtype, W: call.inputs[1]!.dtype, Y: call.outputs[0]!.dtype },
    flags,
    bindings,
    workgroups,
  };
  return { variant: name, dispatches: [only] };
}

/** Why vec4 loads along K are impossible, if they are. */
function vec4Obstacle(call: OpCall<GemmAttrs>): Cannot | undefined {
  if (call.attrs.weight !== 'nk') return { cannot: 'w must be [N, K]' };
  if (sizes(call).K % 4 !== 0) return { cannot: `K = ${sizes(call).K} is not a multiple of 4` };
  return undefined;
}

/**
 * Elements of y an invocation computes: fewer where there are few rows or columns. 8 x 8 is 1.9 times as fast as 4 x 4 on
 * SwiftShader (subgroups of 4); on lavapipe (subgroups of 8) 4 x 4 is 1.4 times as fast, and compiles in a quarter of the
 * time (290 x 1024 x 1024, f32, 2 shared cores, November 2026).
 */
function registerTile({ M, N }: Sizes, caps: Capabilities): { TM: number; TN: number } {
  const side = caps.subgroupMaxSize >= 8 ? 4 : 8;
  return { TM: M >= side ? side : M >= 4 ? 4 : 1, TN: N >= 32 ? side : 2 };
}

function gridFits(grid: readonly number[], caps: Capabilities): Cannot | undefined {
  const worst = Math.max(...grid);
  return worst > caps.maxWorkgroupsPerDimension
    ? { cannot: `it needs ${worst} workgroups along an axis` }
    : undefined;
}

export const gemmOp: Op<GemmAttrs> = {
  name: 'gemm',

  infer(inputs, attrs) {
    const [x, w] = inputs;
    const wanted = 2 + Number(attrs.bias) + Number(attrs.residual);
    if (!x || !w || inputs.length !== wanted) throw new ShapeError(`gemm takes ${wanted} operands.`);
    const k = x.shape.at(-1);
    if (k === undefined || w.shape.length !== 2 || w.shape[attrs.weight === 'nk' ? 1 : 0] !== k) {
      throw new ShapeError(`gemm: x ${describe(x)} and w ${describe(w)} (${attrs.weight}) do not share K.`);
    }
    if (x.dtype === 'u32' || w.dtype === 'u32') throw new ShapeError('gemm: x and w must be f32 or f16.');
    const n = w.shape[attrs.weight === 'nk' ? 0 : 1]!;
    const y = { dtype: attrs.out ?? x.dtype, shape: [...x.shape.slice(0, -1), n] };
    const bias = attrs.bias ? inputs[2]! : undefined;
    if (bias && (bias.dtype !== 'f32' || !sameShape(bias.shape, [n]))) {
      throw new ShapeError(`gemm: bias must be f32[${n}], not ${describe(bias)}.`);
    }
    const residual = attrs.residual ? inputs[wanted - 1]! : undefined;
    if (residual && (residual.dtype !== x.dtype || !sameShape(residual.shape, y.shape))) {
      throw new ShapeError(`gemm: residual must be ${x.dtype}[${y.shape}], not ${describe(residual)}.`);
    }
    return [y];
  },

  variants: [
    {
      name: 'plain',
      lower(call, caps) {
        const s = sizes(call);
        const strides =
          call.attrs.weight === 'nk' ? { COL_STRIDE: s.K, K_STRIDE: 1 } : { COL_STRIDE: 1, K_STRIDE: s.N };
        return dispatch(call, 'plain', plainWgsl, strides, foldGrid(Math.ceil((s.M * s.N) / 64), caps));
      },
    },
    {
      name: 'registers',
      lower(call, caps) {
        const s = sizes(call);
        const { TM, TN } = registerTile(s, caps);
        const WX = 8;
        const grid = [Math.ceil(s.N / (TN * WX)), Math.ceil(s.M / TM), 1] as const;
        const obstacle = vec4Obstacle(call) ?? gridFits(grid, caps);
        return obstacle ?? dispatch(call, 'registers', registersWgsl, { TM, TN, TILE: TM * TN, WX }, grid);
      },
    },
    {
      name: 'tiled',
      lower(call, caps) {
        const s = sizes(call);
        const grid = [Math.ceil(s.N / 64), Math.ceil(s.M / 64), 1] as const;
        const obstacle = vec4Obstacle(call) ?? gridFits(grid, caps);
        return obstacle ?? dispatch(call, 'tiled', tiledWgsl, {}, grid);
      },
    },
  ],

  choose(call, caps) {
    const s = sizes(call);
    const { M, N } = s;
    if (vec4Obstacle(call) || Math.ceil(M / registerTile(s, caps).TM) > caps.maxWorkgroupsPerDimension)
      return 'plain';
    // Barriers are dear on CPUs; and a 64 x 64 tile wastes most of its work on a few rows or columns.
    return caps.software || M < 16 || N < 16 ? 'registers' : 'tiled';
  },

  flops(call) {
    const { M, N, K } = sizes(call);
    return 2 * M * N * K;
  },
};

export interface GemmOptions {
  readonly bias?: Tensor;
  readonly residual?: Tensor;
  readonly activation?: ActivationKind;
  readonly weight?: 'nk' | 'kn';
  readonly out?: Dtype;
}

/** y = activation(x * w^T + bias) + residual; x [..., K], w [N, K] (or [K, N] with `weight: 'kn'`) -> [..., N]. */
export function gemm(g: Graph, x: Tensor, w: Tensor, options: GemmOptions = {}): Tensor {
  const { bias, residual, activation, weight = 'nk', out } = options;
  const operands = [x, w, bias, residual].filter((t) => t !== undefined);
  const attrs: GemmAttrs = {
    bias: bias !== undefined,
    residual: residual !== undefined,
    weight,
    ...(activation && { activation }),
    ...(out && { out }),
  };
  return g.apply(gemmOp, operands, attrs)[0]!;
}
