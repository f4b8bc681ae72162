/** How many blocks a step recomputes, so that it fits a memory budget; and what it says of that. */
import type { Capabilities } from '../runtime/capabilities';
import { OptionError } from '../runtime/errors';
import type { Graph, Tensor } from '../runtime/graph';
import { type Plan, plan } from '../runtime/plan';
import { byteSize } from '../runtime/tensor-type';

/** Where nothing is said: WebGPU does not tell how much memory a device has. */
export const DEFAULT_BUDGET = 2 * 1024 ** 3;

export interface MemoryChoice {
  readonly plan: Plan;
  /** Blocks whose inner tensors are computed again for backward. */
  readonly recompute: number;
  /** Of how many. */
  readonly blocks: number;
  readonly bytes: {
    /** Frozen weights, parameters, gradients and optimiser state. */
    readonly weights: number;
    /** Activations and gradients of activations. */
    readonly activations: number;
    readonly inputs: number;
  };
  /** Left of the budget, for cached features. */
  readonly spare: number;
}

export interface MemoryQuestion {
  /** The graphs whose executables live side by side, the step first, with so many of its blocks recomputed. */
  readonly build: (recompute: number) => readonly Graph[];
  readonly blocks: number;
  readonly caps: Capabilities;
  /** Bytes; 0: `DEFAULT_BUDGET`, or what the least plan needs if that is more. */
  readonly budget: number;
  /** Bytes that are needed beside the graphs' own weights, inputs and arenas. */
  readonly beside: number;
}

/**
 * Recomputes as few blocks as the budget allows.
 * @throws OptionError when a budget was given and even recomputing all blocks does not fit it.
 */
export function chooseRecomputation(question: MemoryQuestion): MemoryChoice {
  const { build, blocks, caps, beside } = question;
  const budget = question.budget || DEFAULT_BUDGET;
  const candidate = (recompute: number): MemoryChoice => {
    const plans = build(recompute).map((graph) => plan(graph, caps));
    const weights = new Map(plans.flatMap(({ graph }) => [...graph.weights]));
    const bytes = {
      weights: bytesOf(weights.values()) + beside,
      activations: plans.flatMap(({ arenas }) => arenas).reduce((a, b) => a + b, 0),
      inputs: plans.reduce((sum, { graph }) => sum + bytesOf(graph.inputs.values()), 0),
    };
    const spare = budget - bytes.weights - bytes.activations - bytes.inputs;
    return { plan: plans[0]!, recompute, blocks, bytes, spare };
  };
  const least = candidate(0);
  if (least.spare >= 0) return least;
  let best = candidate(blocks);
  if (best.spare < 0) {
    if (question.budget === 0) return { ...best, spare: 0 };
    const need = budget - best.spare;
    throw new OptionError(
      `A step needs ${megabytes(need)} of GPU memory even when all blocks are recomputed; --memory gives ${megabytes(budget)}.`,
      'Give more --memory, a smaller --micro-batch, or --precision f16.',
    );
  }
  // The fewest that fit: more recomputation never takes more room, but for the allocator's own slack.
  let [low, high] = [0, blocks];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    const found = candidate(middle);
    if (found.spare >= 0) [best, high] = [found, middle];
    else low = middle;
  }
  return best;
}

function bytesOf(tensors: Iterable<Pick<Tensor, 'type'>>): number {
  return [...tensors].reduce((total, { type }) => total + byteSize(type), 0);
}

/** What a step takes and does, for people. */
export function describeChoice({ plan: p, recompute, blocks, bytes }: MemoryChoice): string {
  const total = bytes.weights + bytes.activations + bytes.inputs;
  const kept =
    recompute === 0 ? 'all activations are kept' : `${recompute} of ${blocks} blocks are recomputed`;
  return (
    `Step: ${(p.flops / 1e9).toFixed(1)} GFLOP in ${p.steps.length} nodes; ${megabytes(total)} on the device ` +
    `(weights and state ${megabytes(bytes.weights)}, activations ${megabytes(bytes.activations)}, ` +
    `inputs ${megabytes(bytes.inputs)}); ${kept}.`
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;
}
