import { describe, expect, test } from 'vitest';
import { activation } from '../../src/kernels/activation/activation';
import { gemm } from '../../src/kernels/gemm/gemm';
import { reduce } from '../../src/kernels/reduce/reduce';
import { PORTABLE } from '../../src/runtime/capabilities';
import { ShapeError } from '../../src/runtime/errors';
import { Graph } from '../../src/runtime/graph';
import { describe as describeType, sizeOf, tensorType } from '../../src/runtime/tensor-type';

test('a wrong shape says where, what, and which operands', () => {
  const g = new Graph();
  const x = g.input('x', 'f32', [2, 8]);
  const w = g.weight('w', 'f32', [4, 7]);
  const build = () => g.scope('block0', () => g.scope('mlp', () => gemm(g, x, w)));
  expect(build).toThrow(ShapeError);
  expect(build).toThrow('block0/mlp/gemm: ');
  expect(build).toThrow('Operands: x f32[2,8], w f32[4,7].');
  expect(g.nodes).toHaveLength(0);
});

test('scopes end, also when building fails', () => {
  const g = new Graph();
  const x = g.input('x', 'f32', [2]);
  expect(() =>
    g.scope('a', () => {
      throw new Error('no');
    }),
  ).toThrow('no');
  expect(activation(g, x, 'gelu').producer!.label).toBe('activation');
});

test('names are used once; a weight may be asked for again in the same type', () => {
  const g = new Graph();
  const x = g.input('x', 'f32', [2]);
  expect(() => g.input('x', 'f32', [2])).toThrow('two inputs named x');
  const w = g.weight('w', 'f32', [3]);
  expect(g.weight('w', 'f32', [3])).toBe(w);
  expect(() => g.weight('w', 'f16', [3])).toThrow('f32[3] and as f16[3]');
  g.output('y', activation(g, x, 'gelu'));
  expect(() => g.output('y', activation(g, x, 'gelu'))).toThrow('two outputs named y');
});

test('an input or a weight is no output, nor is a view of one', () => {
  const g = new Graph();
  const x = g.input('x', 'f32', [2, 3]);
  expect(() => g.output('y', x)).toThrow('nothing computes it');
  expect(() => g.output('y', g.reshape(x, [6]))).toThrow('nothing computes it');
});

test('a view keeps its size and knows what it views', () => {
  const g = new Graph();
  const y = activation(g, g.input('x', 'f32', [2, 3]), 'gelu');
  const view = g.reshape(g.reshape(y, [6]), [3, 2]);
  expect(view.shape).toEqual([3, 2]);
  expect(view.storage).toBe(y);
  expect(() => g.reshape(y, [5])).toThrow('the sizes differ');
});

test('graphs do not mix', () => {
  const x = new Graph().input('x', 'f32', [2]);
  expect(() => activation(new Graph(), x, 'gelu')).toThrow('belongs to another graph');
});

describe('tensor types', () => {
  test.each([[[0]], [[1.5]], [[-1]], [[2, Number.NaN]], [[2 ** 60]]])('the shape %j is refused', (shape) => {
    expect(() => tensorType('f32', shape)).toThrow(ShapeError);
  });

  test('a scalar has one element', () => {
    const g = new Graph();
    const y = reduce(g, g.input('x', 'f32', [5]), 0, 'sum');
    expect(describeType(y.type)).toBe('f32[]');
    expect(sizeOf(y.type)).toBe(1);
  });
});

test('negative axes count from the end', () => {
  const g = new Graph();
  expect(reduce(g, g.input('x', 'f32', [5, 7]), -1, 'sum').shape).toEqual([5]);
  expect(PORTABLE.maxStorageBuffers).toBe(8);
});
