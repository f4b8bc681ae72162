/** What the backwards of some ops take for free, and what they refuse: a matter of graphs, without a device. */
import { expect, test } from 'vitest';
import { assemblePrompts } from '../../src/kernels/assemble-prompts/assemble-prompts';
import { cosineLogits } from '../../src/kernels/cosine-logits/cosine-logits';
import { layerNorm } from '../../src/kernels/layer-norm/layer-norm';
import { reduce } from '../../src/kernels/reduce/reduce';
import { addAll, weightedSum } from '../../src/kernels/weighted-sum/weighted-sum';
import { gradients } from '../../src/runtime/gradients';
import { Graph, type Tensor } from '../../src/runtime/graph';

/** Names of the ops that the gradient of y by `wrt` adds to the graph, with their numbers of operands. */
function addedFor(g: Graph, y: Tensor, wrt: readonly Tensor[]): string[] {
  const before = g.nodes.length;
  const gradient = g.input('seed', y.dtype, y.shape);
  gradients(g, { seeds: [{ tensor: y, gradient }], wrt, add: (terms) => addAll(g, terms) });
  return g.nodes.slice(before).map(({ op, inputs }) => `${op.name} of ${inputs.length}`);
}

const normed = (g: Graph, x: Tensor) => {
  const weight = g.weight('weight', 'f32', [8]);
  const bias = g.weight('bias', 'f32', [8]);
  return { y: layerNorm(g, x, weight, bias), weight, bias };
};

test('layer_norm adds what the residual around it contributed', () => {
  const g = new Graph();
  const x = g.input('x', 'f32', [5, 8]);
  const y = weightedSum(g, [normed(g, x).y, x], [1, 1]);
  expect(addedFor(g, y, [x])).toEqual(['layer_norm_backward of 4']);
});

test('layer_norm alone has no addend', () => {
  const g = new Graph();
  const x = g.input('x', 'f32', [5, 8]);
  expect(addedFor(g, normed(g, x).y, [x])).toEqual(['layer_norm_backward of 3']);
});

test.each(['weight', 'bias'] as const)('layer_norm refuses its %s', (name) => {
  const g = new Graph();
  const all = normed(g, g.input('x', 'f32', [5, 8]));
  expect(() => addedFor(g, all.y, [all[name]])).toThrow(
    expect.objectContaining({ code: 'bad-value', fact: "LayerNorm's weight and bias have no backward." }),
  );
});

test('assemble_prompts derives each context, and refuses token and position embeddings', () => {
  const make = () => {
    const g = new Graph();
    const tokens = g.input('tokens', 'f32', [3, 5, 8]);
    const position = g.input('position', 'f32', [5, 8]);
    const contexts = [g.input('a', 'f32', [2, 2, 8]), g.input('b', 'f32', [1, 2, 8])];
    return { g, tokens, position, contexts, y: assemblePrompts(g, tokens, contexts, position, 'f32') };
  };
  for (const [i, first] of [0, 2].entries()) {
    const { g, y, contexts } = make();
    expect(addedFor(g, y, [contexts[i]!])).toEqual(['assemble_prompts_backward of 1']);
    expect(g.nodes.at(-1)!.attrs).toEqual({ first, count: contexts[i]!.shape[0], vectors: 2 });
  }
  for (const name of ['tokens', 'position'] as const) {
    const refused = make();
    expect(() => addedFor(refused.g, refused.y, [refused[name]])).toThrow(/have no backward/);
  }
});

test('cosine_logits builds only the gradient that is needed', () => {
  const make = () => {
    const g = new Graph();
    const features = g.input('features', 'f32', [2, 5, 8]);
    const text = g.input('text', 'f32', [2, 8]);
    return { g, features, text, y: cosineLogits(g, features, text) };
  };
  const [a, b] = [make(), make()];
  expect(addedFor(a.g, a.y, [a.features])).toEqual(['cosine_logits_backward_features of 3']);
  expect(addedFor(b.g, b.y, [b.text])).toEqual(['cosine_logits_backward_text of 2']);
});

test('reduce refuses the gradient of a maximum', () => {
  const g = new Graph();
  const x = g.input('x', 'f32', [5, 8]);
  expect(() => addedFor(g, reduce(g, x, 1, 'max'), [x])).toThrow(/reduce: max has no backward/);
});
