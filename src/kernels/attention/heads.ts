/** What attention and its gradient share: how packed projections divide into heads, and what kernels ask of a head's size. */
import type { Capabilities } from '../../runtime/capabilities';
import type { Cannot, OpCall } from '../../runtime/op';

export function sizes(call: Pick<OpCall<{ readonly heads: number }>, 'inputs' | 'attrs'>) {
  const [batch, tokens, width3] = call.inputs[0]!.shape as readonly [number, number, number];
  return { batch, tokens, heads: call.attrs.heads, size: width3 / 3 / call.attrs.heads };
}

/** (query, key) pairs with a weight. */
export function pairsOf(tokens: number, causal: boolean): number {
  return causal ? (tokens * (tokens + 1)) / 2 : tokens * tokens;
}

/**
 * lavapipe (subgroups of 8): its LLVM turns compute shaders into coroutines, and needs minutes for 64-wide heads unrolled,
 * 2 s without; the kernel runs as fast (Mesa 25, LLVM 15, November 2026).
 */
export function chokesOnUnrolling(caps: Capabilities): boolean {
  return caps.software && caps.subgroupMaxSize >= 8;
}

export function sizeObstacle(size: number, step: number, most: number): Cannot | undefined {
  if (size % step !== 0) return { cannot: `head size ${size} is not a multiple of ${step}` };
  return size > most ? { cannot: `head size ${size} is above ${most}` } : undefined;
}

/** Why kernels that broadcast cannot count on subgroups of one small size, and unrolled bodies, if they cannot. */
export function laneObstacle(caps: Capabilities): Cannot | undefined {
  const { subgroups, subgroupMinSize: least, subgroupMaxSize: most } = caps;
  if (chokesOnUnrolling(caps)) return { cannot: 'it must be unrolled, which takes this adapter minutes' };
  return subgroups && least === most && least === 4
    ? undefined
    : { cannot: 'subgroups do not have 4 invocations' };
}
