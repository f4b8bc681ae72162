/**
 * Reverse-mode differentiation of a graph: a walk against building order that asks each op for its hand-written backward.
 * Only nodes between a trained tensor and a seed get gradient nodes; nothing is built for the rest.
 *
 * Results that backward needs are kept from the forward pass, or, for the nodes of a segment that `segmentOf` names,
 * computed once more right before they are needed (Chen et al. 2016, "Training deep nets with sublinear memory cost"): what
 * another segment reads is kept, the segment's inner tensors are not.
 */
import { MlaLpError } from './errors';
import type { Graph, GraphNode, Tensor } from './graph';
import { describe, sameShape } from './tensor-type';

/** A tensor of the graph, and the gradient of the loss by it. */
export interface Seed {
  readonly tensor: Tensor;
  readonly gradient: Tensor;
}

export interface GradientOptions {
  readonly seeds: readonly Seed[];
  /** Trained tensors. */
  readonly wrt: readonly Tensor[];
  /** Sum of two or more tensors of one type. */
  readonly add: (terms: readonly Tensor[]) => Tensor;
  /** Name of the segment that recomputes a node's results during backward; undefined keeps them. */
  readonly segmentOf?: (node: GraphNode) => string | undefined;
}

/**
 * Adds gradient nodes to the graph.
 * @returns dL/d(tensor) for each of `wrt` that the seeds depend on, of the tensor's own type.
 * @throws MlaLpError when an op on the way has no backward, or gives a gradient of a wrong type.
 */
export function gradients(graph: Graph, options: GradientOptions): Map<Tensor, Tensor> {
  const forward = [...graph.nodes];
  const trained = dependents(forward, options.wrt);
  const value = keptOrRecomputed(graph, forward, options);
  const parts = new Map<Tensor, Tensor[]>();
  const contribute = (tensor: Tensor, gradient: Tensor) => {
    if (gradient.dtype !== tensor.dtype || !sameShape(gradient.shape, tensor.shape)) {
      throw new MlaLpError(
        'bad-shape',
        `The gradient of ${tensor.name} ${describe(tensor.type)} came as ${describe(gradient.type)}.`,
        '',
      );
    }
    const { storage } = tensor;
    const whole = tensor === storage ? gradient : graph.reshape(gradient, storage.shape);
    parts.set(storage, [...(parts.get(storage) ?? []), whole]);
  };
  const take = (storage: Tensor): Tensor | undefined => {
    const terms = parts.get(storage);
    parts.delete(storage);
    return terms && (terms.length === 1 ? terms[0]! : options.add(terms));
  };
  for (const { tensor, gradient } of options.seeds) {
    if (trained.has(tensor.storage)) contribute(tensor, gradient);
  }
  for (const node of forward.reverse()) {
    if (!node.outputs.some((t) => parts.has(t)) || !node.inputs.some((t) => trained.has(t.storage))) continue;
    const needed = node.inputs.map((t) => trained.has(t.storage));
    graph.scope(`grad ${node.label}`, () => {
      if (!node.op.backward) throw new MlaLpError('bad-value', `${node.label} has no backward.`, '');
      const results = node.op.backward({
        graph,
        attrs: node.attrs,
        inputTypes: node.inputs.map((t) => t.type),
        input: (i) => value(node.inputs[i]!),
        output: (i) => value(node.outputs[i]!),
        outputGradients: node.outputs.map(take),
        needed,
        absorb: (i) => {
          const tensor = node.inputs[i]!;
          const sum = needed[i] ? take(tensor.storage) : undefined;
          return sum && tensor !== tensor.storage ? graph.reshape(sum, tensor.shape) : sum;
        },
      });
      results.forEach((gradient, i) => {
        if (gradient && needed[i]) contribute(node.inputs[i]!, gradient);
      });
    });
  }
  const found = new Map<Tensor, Tensor>();
  for (const tensor of options.wrt) {
    const gradient = take(tensor);
    if (gradient) found.set(tensor, gradient);
  }
  return found;
}

/** Storages whose values change with one of `wrt`. */
function dependents(nodes: readonly GraphNode[], wrt: readonly Tensor[]): Set<Tensor> {
  const found = new Set(wrt.map((t) => t.storage));
  for (const node of nodes) {
    if (node.inputs.some((t) => found.has(t.storage))) for (const output of node.outputs) found.add(output);
  }
  return found;
}

/** Finds the tensor that holds a forward value during backward: itself, or a copy that is computed anew on first demand. */
function keptOrRecomputed(
  graph: Graph,
  nodes: readonly GraphNode[],
  { segmentOf = () => undefined, seeds }: GradientOptions,
): (tensor: Tensor) => Tensor {
  const kept = new Set<Tensor>(
    [...graph.outputs.values(), ...seeds.map((s) => s.tensor)].map((t) => t.storage),
  );
  for (const node of nodes) {
    const segment = segmentOf(node);
    for (const { storage } of node.inputs) {
      if (storage.producer && segmentOf(storage.producer) !== segment) kept.add(storage);
    }
  }
  const copies = new Map<Tensor, Tensor>();
  const copyOf = (storage: Tensor): Tensor => {
    const node = storage.producer;
    if (!node || kept.has(storage) || segmentOf(node) === undefined) return storage;
    const known = copies.get(storage);
    if (known) return known;
    const inputs = node.inputs.map(value);
    const outputs = graph.scope('again', () => graph.apply(node.op, inputs, node.attrs));
    for (const [i, output] of node.outputs.entries()) copies.set(output, outputs[i]!);
    return copies.get(storage)!;
  };
  const value = (tensor: Tensor): Tensor => {
    const copy = copyOf(tensor.storage);
    return tensor === tensor.storage || sameShape(copy.shape, tensor.shape)
      ? copy
      : graph.reshape(copy, tensor.shape);
  };
  return value;
}
