/** What the variants of GEMM share: sizes of a call, why a kernel cannot take it, and the dispatch with its epilogue. */
import { type Capabilities, foldGrid } from '../../runtime/capabilities';
import type { Cannot, Dispatch, OpCall, Operand } from '../../runtime/op';
import { type Dtype, sizeOf } from '../../runtime/tensor-type';
import { ACTIVATION_INCLUDES, type ActivationKind } from '../activation/activation';
import epilogueWgsl from './gemm_epilogue.wgsl';
import splitSumWgsl from './gemm_split_sum.wgsl';
import storeWgsl from './gemm_store.wgsl';

export interface GemmAttrs {
  readonly bias: boolean;
  readonly residual: boolean;
  /** Factors on what is computed and on the residual; both 1 without it. */
  readonly mix?: readonly [own: number, residual: number];
  readonly activation?: ActivationKind;
  /** Layout of x: [..., K], also without it, or [K, M]. */
  readonly x?: 'mk' | 'km';
  /** Layout of w: [N, K] or [K, N]. */
  readonly weight: 'nk' | 'kn';
  /** Storage type of y; that of x without it. */
  readonly out?: Dtype;
  /** The first and the second half of the columns are results of their own; without bias and residual. */
  readonly halves?: boolean;
}

export type GemmCall = OpCall<GemmAttrs>;

export interface Sizes {
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

export function sizes({ inputs, attrs }: Pick<GemmCall, 'inputs' | 'attrs'>): Sizes {
  const [x, w] = inputs;
  const K = x!.shape.at(attrs.x === 'km' ? 0 : -1)!;
  return { M: sizeOf(x!) / K, N: w!.shape[attrs.weight === 'nk' ? 0 : 1]!, K };
}

const INCLUDES = { ...ACTIVATION_INCLUDES, gemm_epilogue: epilogueWgsl, gemm_store: storeWgsl };

/** Operands and blocks of the epilogue, as every kernel that finishes a sum declares them. */
function epilogueOf(call: GemmCall): {
  readonly bindings: Record<string, Operand>;
  readonly constants: Record<string, number>;
  readonly flags: readonly string[];
} {
  const { bias, residual, activation, mix, halves } = call.attrs;
  return {
    bindings: {
      y: { output: 0 },
      ...(halves && { y2: { output: 1 } }),
      ...(bias && { bias: { input: 2 } }),
      ...(residual && { residual: { input: bias ? 3 : 2 } }),
    },
    constants: { ...(mix && { OWN: mix[0], REST: mix[1] }), ...(halves && { HALF: sizes(call).N / 2 }) },
    flags: [
      bias && 'BIAS',
      residual && 'RESIDUAL',
      mix && 'MIX',
      activation?.toUpperCase(),
      halves && 'HALVES',
    ].filter((flag) => typeof flag === 'string'),
  };
}

/** What a kernel has of its own. */
export interface KernelUse {
  /** Of the template; the variant's name may tell more. */
  readonly name: string;
  readonly wgsl: string;
  readonly includes?: Readonly<Record<string, string>>;
  readonly constants?: Readonly<Record<string, number>>;
  readonly types?: Readonly<Record<string, Dtype>>;
  readonly flags?: readonly string[];
  readonly workgroups: readonly [number, number, number];
}

/** A dispatch of x, w and the epilogue into y; or, `partial`, of x and w alone into f32 sums in scratch 0. */
export function dispatch(call: GemmCall, use: KernelUse, partial = false): Dispatch {
  const epilogue = partial ? { bindings: { y: { scratch: 0 } }, constants: {}, flags: [] } : epilogueOf(call);
  return {
    kernel: { name: `gemm_${use.name}`, wgsl: use.wgsl, includes: { ...INCLUDES, ...use.includes } },
    constants: { ...sizes(call), ...epilogue.constants, ...use.constants },
    types: {
      X: call.inputs[0]!.dtype,
      W: call.inputs[1]!.dtype,
      Y: partial ? 'f32' : call.outputs[0]!.dtype,
      ...use.types,
    },
    flags: [...(use.flags ?? []), ...epilogue.flags],
    bindings: { x: { input: 0 }, w: { input: 1 }, ...epilogue.bindings },
    workgroups: use.workgroups,
  };
}

/** Adds up `splits` partial sums of y in scratch 0, in their order, and does the epilogue. */
export function splitSum(call: GemmCall, splits: number, caps: Capabilities): Dispatch {
  const { M, N } = sizes(call);
  const { bindings, constants, flags } = epilogueOf(call);
  return {
    kernel: { name: 'gemm_split_sum', wgsl: splitSumWgsl, includes: INCLUDES },
    constants: { M, N, SPLITS: splits, ...constants },
    types: { Y: call.outputs[0]!.dtype },
    flags,
    bindings: { partial: { scratch: 0 }, ...bindings },
    workgroups: foldGrid(Math.ceil((M * N) / 64), caps),
  };
}

/** Why vec4 loads along the fast axes of x and w are impossible, if they are. */
export function vec4Obstacle(call: GemmCall): Cannot | undefined {
  const s = sizes(call);
  const { x, weight } = call.attrs;
  const odd = [x === 'km' ? 'M' : 'K', weight === 'kn' ? 'N' : 'K'].find(
    (axis) => s[axis as keyof Sizes] % 4 !== 0,
  );
  return odd ? { cannot: `${odd} = ${s[odd as keyof Sizes]} is not a multiple of 4` } : undefined;
}

/** The blocks for layouts other than [M, K] and [N, K]. */
export function layoutFlags({ attrs: { x, weight } }: GemmCall): string[] {
  return [...(x === 'km' ? ['X_KM'] : []), ...(weight === 'kn' ? ['W_KN'] : [])];
}

/** Steps along the axes of x and w, for kernels that read any layout element by element. */
export function strides(call: GemmCall): Record<string, number> {
  const { M, N, K } = sizes(call);
  const { x, weight } = call.attrs;
  return {
    ...(x === 'km' ? { ROW_STRIDE: 1, X_STRIDE: M } : { ROW_STRIDE: K, X_STRIDE: 1 }),
    ...(weight === 'nk' ? { COL_STRIDE: K, K_STRIDE: 1 } : { COL_STRIDE: 1, K_STRIDE: N }),
  };
}

/** Why an invocation cannot count on subgroups of exactly `lanes`, if it cannot. */
export function subgroupObstacle(caps: Capabilities, lanes: readonly number[]): Cannot | undefined {
  const { subgroups, subgroupMinSize: least, subgroupMaxSize: most } = caps;
  if (!subgroups) return { cannot: 'the device has no subgroups' };
  return least === most && lanes.includes(least)
    ? undefined
    : { cannot: `subgroups have ${least} to ${most} invocations, not ${lanes.join(' or ')}` };
}

export function gridFits(grid: readonly number[], caps: Capabilities): Cannot | undefined {
  const worst = Math.max(...grid);
  return worst > caps.maxWorkgroupsPerDimension
    ? { cannot: `it needs ${worst} workgroups along an axis` }
    : undefined;
}
