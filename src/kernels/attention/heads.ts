/** What attention and its gradient share: how packed projections divide into heads, and what kernels ask of a head's size. */
import type { Capabilities } from '../../runtime/capabilities';
import type { Cannot, OpCall } from '../../runtime/op';
import quadShareWgsl from './quad_share.wgsl';

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

/** Queries or keys of a workgroup of the quads' kernels: on CPUs more leave more invocations idle at the end. */
export function quadLanes(caps: Capabilities): number {
  return caps.software ? 8 : 64;
}

/** `KernelSource.includes` of the quads' kernels. */
export const QUAD_INCLUDES = { quad_share: quadShareWgsl };

export function quadObstacle(size: number, most: number, caps: Capabilities): Cannot | undefined {
  if (!caps.subgroups || caps.subgroupMinSize < 4) return { cannot: 'there are no subgroups of 4 or more' };
  return sizeObstacle(size, 16, most);
}
