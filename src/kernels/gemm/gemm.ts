/**
 * GEMM with a fused epilogue:
 *   y = activation(op(x) * op(w) + bias) + residual
 *
 * Operands, in this order: x f32|f16 [..., K] or, with `x: 'km'`, [K, M] (op(x) = x^T); w f32|f16, [N, K] (torch.nn.Linear,
 * op(w) = w^T) or, with `weight: 'kn'`, [K, N]; bias f32 [N] if any; residual like y if any. Result: y [..., N] or [M, N].
 * Sums are f32 whatever the storage type. Activations: `../activation`.
 */
import { type Capabilities, foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import {
  type BackwardContext,
  type Cannot,
  type Dispatch,
  isCannot,
  type Lowering,
  type Op,
  type OpCall,
  type Operand,
} from '../../runtime/op';
import { type Dtype, describe, sameShape, sizeOf } from '../../runtime/tensor-type';
import { ACTIVATION_INCLUDES, type ActivationKind, activationBackward } from '../activation/activation';
import { reduce } from '../reduce/reduce';
import broadcastWgsl from './gemm_broadcast.wgsl';
import epilogueWgsl from './gemm_epilogue.wgsl';
import panelWgsl from './gemm_panel.wgsl';
import plainWgsl from './gemm_plain.wgsl';
import registersWgsl from './gemm_registers.wgsl';
import registersKnWgsl from './gemm_registers_kn.wgsl';
import tiledWgsl from './gemm_tiled.wgsl';

const INCLUDES = { ...ACTIVATION_INCLUDES, gemm_epilogue: epilogueWgsl };

export interface GemmAttrs {
  readonly bias: boolean;
  readonly residual: boolean;
  readonly activation?: ActivationKind;
  /** Layout of x: [..., K], also without it, or [K, M]. */
  readonly x?: 'mk' | 'km';
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
  const K = x!.shape.at(attrs.x === 'km' ? 0 : -1)!;
  return { M: sizeOf(x!) / K, N: w!.shape[attrs.weight === 'nk' ? 0 : 1]!, K };
}

function dispatch(
  call: OpCall<GemmAttrs>,
  name: string,
  wgsl: string,
  constants: Record<string, number>,
  workgroups: readonly [number, number, number],
  layouts: readonly string[] = [],
): Lowering {
  const { bias, residual, activation } = call.attrs;
  const bindings: Record<string, Operand> = { x: { input: 0 }, w: { input: 1 }, y: { output: 0 } };
  if (bias) bindings.bias = { input: 2 };
  if (residual) bindings.residual = { input: bias ? 3 : 2 };
  const flags = [...layouts, bias && 'BIAS', residual && 'RESIDUAL', activation?.toUpperCase()].filter(
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

/** Why vec4 loads along the fast axes of x and w are impossible, if they are. */
function vec4Obstacle(call: OpCall<GemmAttrs>): Cannot | undefined {
  const s = sizes(call);
  const { x, weight } = call.attrs;
  const odd = [x === 'km' ? 'M' : 'K', weight === 'kn' ? 'N' : 'K'].find(
    (axis) => s[axis as keyof Sizes] % 4 !== 0,
  );
  return odd ? { cannot: `${odd} = ${s[odd as keyof Sizes]} is not a multiple of 4` } : undefined;
}

/** Why `registers` has no kernel for a call's layouts, if it has none. */
function layoutObstacle({ attrs }: OpCall<GemmAttrs>): Cannot | undefined {
  return attrs.x === 'km' && attrs.weight === 'nk' ? { cannot: 'x is [K, M] and w [N, K]' } : undefined;
}

/**
 * Elements of y an invocation computes: fewer where there are few rows or columns. 8 x 8 is 1.9 times as fast as 4 x 4 on
 * SwiftShader (subgroups of 4); on lavapipe (subgroups of 8) 4 x 4 is 1.4 times as fast, and compiles in a quarter of the
 * time (290 x 1024 x 1024, f32, 2 shared cores, November 2026).
 */
function registerTile(call: OpCall<GemmAttrs>, caps: Capabilities): { TM: number; TN: number } {
  const { M, N } = sizes(call);
  const side = caps.subgroupMaxSize >= 8 ? 4 : 8;
  return { TM: M >= side ? side : M >= 4 ? 4 : 1, TN: N >= 32 ? side : call.attrs.weight === 'kn' ? 4 : 2 };
}

/** Steps along the axes of x and w, for kernels that read any layout element by element. */
function strides(call: OpCall<GemmAttrs>): Record<string, number> {
  const { M, N, K } = sizes(call);
  const { x, weight } = call.attrs;
  return {
    ...(x === 'km' ? { ROW_STRIDE: 1, X_STRIDE: M } : { ROW_STRIDE: K, X_STRIDE: 1 }),
    ...(weight === 'nk' ? { COL_STRIDE: K, K_STRIDE: 1 } : { COL_STRIDE: 1, K_STRIDE: N }),
  };
}

/** Why an invocation cannot count on subgroups of exactly `lanes`, if it cannot. */
function subgroupObstacle(caps: Capabilities, lanes: readonly number[]): Cannot | undefined {
  const { subgroups, subgroupMinSize: least, subgroupMaxSize: most } = caps;
  if (!subgroups) return { cannot: 'the device has no subgroups' };
  return least === most && lanes.includes(least)
    ? undefined
    : { cannot: `subgroups have ${least} to ${most} invocations, not ${lanes.join(' or ')}` };
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
    if (attrs.x === 'km' && x.shape.length !== 2)
      throw new ShapeError(`gemm: x ${describe(x)} must be [K, M].`);
    const k = x.shape.at(attrs.x === 'km' ? 0 : -1);
    if (k === undefined || w.shape.length !== 2 || w.shape[attrs.weight === 'nk' ? 1 : 0] !== k) {
      throw new ShapeError(`gemm: x ${describe(x)} and w ${describe(w)} (${attrs.weight}) do not share K.`);
    }
    if (x.dtype === 'u32' || w.dtype === 'u32') throw new ShapeError('gemm: x and w must be f32 or f16.');
    const n = w.shape[attrs.weight === 'nk' ? 0 : 1]!;
    const rows = attrs.x === 'km' ? x.shape.slice(1) : x.shape.slice(0, -1);
    const y = { dtype: attrs.out ?? x.dtype, shape: [...rows, n] };
    const bias = attrs.bias ? inputs[2]! : undefined;
    if (bias && (bias.dtype !== 'f32' || !sameShape(bias.shape, [n]))) {
      throw new ShapeError(`gemm: bias must be f32[${n}], not ${describe(bias)}.`);
    }
    const residual = attrs.residual ? inputs[wanted - 1]! : undefined;
    if (residual && (residual.dtype !== y.dtype || !sameShape(residual.shape, y.shape))) {
      throw new ShapeError(`gemm: residual must be ${y.dtype}[${y.shape}], not ${describe(residual)}.`);
    }
    return [y];
  },

  variants: [
    {
      name: 'plain',
      lower(call, caps) {
        const s = sizes(call);
        return dispatch(call, 'plain', plainWgsl, strides(call), foldGrid(Math.ceil((s.M * s.N) / 64), caps));
      },
    },
    {
      name: 'registers',
      lower(call, caps) {
        const s = sizes(call);
        const { TM, TN } = registerTile(call, caps);
        const WX = 8;
        const grid = [Math.ceil(s.N / (TN * WX)), Math.ceil(s.M / TM), 1] as const;
        const obstacle = layoutObstacle(call) ?? vec4Obstacle(call) ?? gridFits(grid, caps);
        if (obstacle) return obstacle;
        if (call.attrs.weight === 'nk')
          return dispatch(call, 'registers', registersWgsl, { TM, TN, TILE: TM * TN, WX }, grid);
        const km = call.attrs.x === 'km';
        const quads = { TM, TN, QN: TN / 4, TILE: (TM * TN) / 4, WX, QM: Math.ceil(TM / 4) };
        return dispatch(call, 'registers', registersKnWgsl, quads, grid, km ? ['X_KM'] : []);
      },
    },
    {
      name: 'tiled',
      lower(call, caps) {
        const s = sizes(call);
        const grid = [Math.ceil(s.N / 64), Math.ceil(s.M / 64), 1] as const;
        const obstacle = vec4Obstacle(call) ?? gridFits(grid, caps);
        const { x, weight } = call.attrs;
        const layouts = [...(x === 'km' ? ['X_KM'] : []), ...(weight === 'kn' ? ['W_KN'] : [])];
        return obstacle ?? dispatch(call, 'tiled', tiledWgsl, {}, grid, layouts);
      },
    },
    {
      name: 'broadcast',
      lower(call, caps) {
        const { M, N, K } = sizes(call);
        const { x, weight } = call.attrs;
        const kn = weight === 'kn';
        const [TM, TN, LANES] = [8, 4, caps.subgroupMinSize];
        const grid = [Math.ceil(N / (TN * LANES)), Math.ceil(M / TM), 1] as const;
        const odd = (kn ? N : K) % 4 !== 0 && { cannot: `${kn ? 'N' : 'K'} is not a multiple of 4` };
        const obstacle = subgroupObstacle(caps, [4, 8]) ?? (odd || undefined) ?? gridFits(grid, caps);
        if (obstacle) return obstacle;
        const [QN, QL] = [TN / 4, LANES / 4];
        const ofX = x === 'km' ? { ROW_STRIDE: 1, X_STRIDE: M } : { ROW_STRIDE: K, X_STRIDE: 1 };
        const constants = { TM, TN, QN, TILE: TM * TN, LANES, QL, PANEL: TN * QL, ...ofX };
        const layouts = [...(K % LANES ? ['K_TAIL'] : []), ...(kn ? ['W_KN'] : [])];
        return dispatch(call, 'broadcast', broadcastWgsl, constants, grid, layouts);
      },
    },
    {
      name: 'panel',
      lower(call, caps) {
        const { M, N, K } = sizes(call);
        const { bias, residual, activation } = call.attrs;
        // 16 columns are 1.2 times as fast as 8, and take twice as long to compile (0.5 s; SwiftShader, November 2026).
        const [TN, KC] = [2 * M * N * K >= 5e7 ? 16 : 8, 64];
        // Blocks of at most 160 rows, as equal as they can be.
        const ROWS = Math.ceil(M / Math.ceil(M / 160));
        const grid = [Math.ceil(N / (TN * 4)), Math.ceil(M / ROWS), 1] as const;
        const f16 = call.outputs[0]!.dtype === 'f16' && {
          cannot: 'sums between are kept in y, which is f16',
        };
        const obstacle = subgroupObstacle(caps, [4]) ?? (f16 || undefined) ?? gridFits(grid, caps);
        if (obstacle) return obstacle;
        const constants = {
          TN,
          ROWS,
          KC,
          QUADS: KC / 4,
          BLOCKS: KC / 16,
          PANEL: (TN * KC) / 4,
          ...strides(call),
        };
        const tails = [...(K % KC ? ['K_TAIL'] : []), ...(N % (4 * TN) ? ['N_TAIL'] : [])];
        const last = bias || residual || activation ? ['EPILOGUE'] : [];
        return dispatch(call, 'panel', panelWgsl, constants, grid, [...tails, ...last]);
      },
    },
  ],

  choose(call, caps) {
    const { M, N, K } = sizes(call);
    const can = (name: string) =>
      !isCannot(this.variants.find((variant) => variant.name === name)!.lower(call, caps));
    // Each is about twice as fast as `registers` where subgroups are that wide (shapes of ViT-L/14, f32 and f16, lavapipe and
    // SwiftShader), but compiles for half a second more: smaller products would win that back in hundreds of runs only (2 shared
    // cores, November 2026).
    if (caps.software && M >= 16 && N >= 16 && 2 * M * N * K >= 5e7) {
      const fast = caps.subgroupMinSize < 8 ? 'panel' : 'broadcast';
      if (can(fast)) return fast;
    }
    const most = caps.maxWorkgroupsPerDimension;
    if (vec4Obstacle(call) || Math.ceil(M / registerTile(call, caps).TM) > most) return 'plain';
    // Barriers are dear on CPUs; and a 64 x 64 tile wastes most of its work on a few rows or columns.
    if (!caps.software && M >= 16 && N >= 16) return 'tiled';
    return layoutObstacle(call) ? 'plain' : 'registers';
  },

  flops(call) {
    const { M, N, K } = sizes(call);
    return 2 * M * N * K;
  },

  // y = f(z) + r, z = op(x) op(w) + b, so dr = dy and dz = f'(z) dy. By the sum's own indices,
  //   z[m, n] = sum_k x[m, k] w[k, n] + b[n]:   dx[m, k] = sum_n dz[m, n] w[k, n],   dw[k, n] = sum_m x[m, k] dz[m, n],
  //   db[n] = sum_m dz[m, n];
  // each product again a GEMM, whose layouts follow from how its factors and its result are stored. What other nodes gave
  // to dx or dw so far enters as that GEMM's residual.
  backward(context) {
    const { graph: g, attrs, inputTypes, outputGradients, needed, input, absorb } = context;
    const dy = outputGradients[0]!;
    const found: (Tensor | undefined)[] = inputTypes.map(() => undefined);
    const last = inputTypes.length - 1;
    if (attrs.residual && needed[last]) found[last] = dy;
    const biasNeeded = attrs.bias && needed[2];
    if (!needed[0] && !needed[1] && !biasNeeded) return found;

    const { M, N, K } = sizes({ inputs: inputTypes, attrs });
    const shaped = attrs.activation ? activationBackward(g, dy, slopePoint(context), attrs.activation) : dy;
    const dz = g.reshape(shaped, [M, N]);
    const [km, kn] = [attrs.x === 'km', attrs.weight === 'kn'];
    const product = (i: 0 | 1, a: Tensor, b: Tensor, x: 'mk' | 'km', weight: 'nk' | 'kn') => {
      const { dtype, shape } = inputTypes[i]!;
      const flat = [sizeOf(inputTypes[i]!) / shape.at(-1)!, shape.at(-1)!];
      const others = absorb(i);
      const options = { x, weight, out: dtype, ...(others && { residual: g.reshape(others, flat) }) };
      return g.reshape(gemm(g, a, b, options), shape);
    };
    if (needed[0]) {
      found[0] = km
        ? product(0, input(1), dz, kn ? 'mk' : 'km', 'nk') // dx [K, M] = op(w) dz^T
        : product(0, dz, input(1), 'mk', kn ? 'nk' : 'kn'); // dx [M, K] = dz op(w)^T
    }
    if (needed[1]) {
      const x = km ? input(0) : g.reshape(input(0), [M, K]);
      found[1] = kn
        ? product(1, x, dz, km ? 'mk' : 'km', 'kn') // dw [K, N] = op(x)^T dz
        : product(1, dz, x, 'km', km ? 'nk' : 'kn'); // dw [N, K] = dz^T op(x)
    }
    if (biasNeeded) found[2] = reduce(g, dz, 0, 'sum');
    return found;
  },
};

/**
 * Where the activation's derivative is taken: z, computed once more, for the fused result does not tell it. A training graph
 * spares itself that by not fusing. leaky_relu asks only for z's sign, which y has unless a residual was added.
 */
function slopePoint({ graph, attrs, input, output }: BackwardContext<GemmAttrs>): Tensor {
  if (attrs.activation === 'leaky_relu' && !attrs.residual) return output(0);
  const operands = [input(0), input(1), ...(attrs.bias ? [input(2)] : [])];
  const { activation: _dropped, ...linear } = attrs;
  return graph.apply(gemmOp, operands, { ...linear, residual: false })[0]!;
}

export interface GemmOptions {
  readonly bias?: Tensor;
  readonly residual?: Tensor;
  readonly activation?: ActivationKind;
  readonly x?: 'mk' | 'km';
  readonly weight?: 'nk' | 'kn';
  readonly out?: Dtype;
}

/**
 * y = activation(x * w^T + bias) + residual; x [..., K], w [N, K] -> [..., N]. With `weight: 'kn'` w is [K, N], with
 * `x: 'km'` x is [K, M].
 */
export function gemm(g: Graph, x: Tensor, w: Tensor, options: GemmOptions = {}): Tensor {
  const { bias, residual, activation, x: layout, weight = 'nk', out } = options;
  const operands = [x, w, bias, residual].filter((t) => t !== undefined);
  const attrs: GemmAttrs = {
    bias: bias !== undefined,
    residual: residual !== undefined,
    weight,
    ...(layout && { x: layout }),
    ...(activation && { activation }),
    ...(out && { out }),
  };
  return g.apply(gemmOp, operands, attrs)[0]!;
}
