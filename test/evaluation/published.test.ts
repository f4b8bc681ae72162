import { describe, expect, test } from 'vitest';
import { gridCells } from '../../src/evaluation/grid';
import { publishedColumns, publishedMethods, publishedValue } from '../../src/evaluation/published';

const at = (dataset: string, metric: 'image' | 'pixel' = 'image') => ({ dataset, metric });

describe('the published numbers', () => {
  test('give the differences that the paper’s text names (section 4.2)', () => {
    const ahead = (dataset: string, metric: 'image' | 'pixel') =>
      publishedValue('zero-shot', undefined, 'mla-lp', at(dataset, metric))! -
      publishedValue('zero-shot', undefined, 'mvfa', at(dataset, metric))!;
    expect(ahead('Histopathology', 'image')).toBeCloseTo(1.99, 6);
    expect(ahead('Retina_OCT2017', 'image')).toBeCloseTo(0.95, 6);
    expect(ahead('Liver', 'image')).toBeCloseTo(0.53, 6);
    expect(ahead('Liver', 'pixel')).toBeCloseTo(0.97, 6);
    expect(ahead('Retina_RESC', 'image')).toBeCloseTo(1.19, 6);
    expect(ahead('Retina_RESC', 'pixel')).toBeCloseTo(0.22, 6);
  });

  test('are whole: a number for each column, per cent; BGAD has none without pixel labels', () => {
    for (const [protocol, shots] of [
      ['zero-shot', undefined],
      ...[2, 4, 8, 16].map((k) => ['few-shot', k] as const),
    ] as const) {
      const methods = publishedMethods(protocol, shots);
      expect(methods).toHaveLength(protocol === 'zero-shot' ? 4 : 5);
      for (const method of methods) {
        const values = publishedColumns.map((column) => publishedValue(protocol, shots, method, column));
        expect(values.filter((value) => value === undefined)).toHaveLength(method === 'bgad' ? 3 : 0);
        for (const value of values) if (value !== undefined) expect(value > 40 && value < 100).toBe(true);
      }
    }
    expect(publishedValue('few-shot', 16, 'mla-lp', at('Retina_RESC', 'pixel'))).toBe(99.34);
    expect(publishedValue('few-shot', 2, 'dra', at('Histopathology'))).toBe(72.91);
    expect(publishedValue('few-shot', 3, 'mla-lp', at('Brain'))).toBeUndefined();
    expect(publishedValue('zero-shot', undefined, 'mla-lp', at('Chest', 'pixel'))).toBeUndefined();
  });
});

test('a grid has every combination once', () => {
  const options = { methods: ['a', 'b', 'a'], datasets: ['X', 'Y'], shots: [2, 4], seeds: [1, 2, 1] };
  const few = gridCells({ ...options, protocol: 'few-shot' });
  expect(few).toHaveLength(2 * 2 * 2 * 2);
  expect(new Set(few.map((cell) => JSON.stringify(cell))).size).toBe(16);
  const zero = gridCells({ ...options, protocol: 'zero-shot' });
  expect(zero).toHaveLength(8);
  expect(zero.every((cell) => cell.shots === undefined)).toBe(true);
});
