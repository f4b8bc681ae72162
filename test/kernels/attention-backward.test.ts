/** What attention's backward builds, beside the numbers that gradients.test.ts checks. */
import { expect, test } from 'vitest';
import { attention, attentionOp } from '../../src/kernels/attention/attention';
import { addAll } from '../../src/kernels/weighted-sum/weighted-sum';
import { gradients } from '../../src/runtime/gradients';
import { Graph, type Tensor } from '../../src/runtime/graph';

/** Names of the ops that the gradient by qkv [2, 5, 24] adds. */
function backwardNodes(g: Graph, qkv: Tensor, result: Tensor): string[] {
  const gradient = g.input('seed', result.dtype, result.shape);
  const before = g.nodes.length;
  const seeds = [{ tensor: result, gradient }];
  const found = gradients(g, { seeds, wrt: [qkv], add: (terms) => addAll(g, terms) });
  expect(found.get(qkv)!.type).toEqual(qkv.type);
  return g.nodes.slice(before).map(({ op }) => op.name);
}

test.each([
  [true, ['attention_backward']],
  [false, ['attention', 'attention_backward']],
] as const)('with saveLse %s it adds %j', (saveLse, nodes) => {
  for (const dtype of ['f32', 'f16'] as const) {
    const g = new Graph();
    const qkv = g.input('qkv', dtype, [2, 5, 24]);
    expect(backwardNodes(g, qkv, attention(g, qkv, { heads: 2, causal: true, saveLse }))).toEqual(nodes);
  }
});

test('attention without saveLse keeps no lse', () => {
  const g = new Graph();
  attention(g, g.input('qkv', 'f32', [2, 5, 24]), { heads: 2 });
  expect(g.nodes[0]!.outputs).toHaveLength(1);
});

test('a gradient of lse is refused', () => {
  const g = new Graph();
  const qkv = g.input('qkv', 'f32', [2, 5, 24]);
  const lse = g.apply(attentionOp, [qkv], { heads: 2, causal: false, saveLse: true })[1]!;
  expect(() => backwardNodes(g, qkv, lse)).toThrow(/no gradient of its lse/);
});
