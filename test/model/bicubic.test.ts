import { expect, test } from 'vitest';
import { bicubicWeights, cubicKernel, resizePositionEmbedding } from '../../src/model/bicubic';
import { ShapeError } from '../../src/runtime/errors';
import { readFixture } from '../data/safetensors';

const fixture = readFixture(new URL('../fixtures/position-embedding.safetensors', import.meta.url));

test('position embeddings 8x8 to 7x7 are those of torch’s antialiased bicubic', () => {
  const from = fixture.get('grid8')!.data as Float32Array;
  const want = fixture.get('grid7')!;
  const [rows, width] = want.shape as [number, number];
  const got = resizePositionEmbedding(from, 8, 7, width);
  expect(got.length).toBe(rows * width);
  expect([...got.subarray(0, width)]).toEqual([...from.subarray(0, width)]);
  expect(Math.max(...got.map((v, i) => Math.abs(v - want.data[i]!)))).toBeLessThanOrEqual(1e-6);
});

test('weights sum to one and stay inside, whatever the sizes', () => {
  for (const [from, to] of [
    [24, 17],
    [7, 16],
    [1, 5],
    [301, 240],
    [5, 1],
  ] as const) {
    const { stride, first, count, weights } = bicubicWeights(from, to);
    for (let o = 0; o < to; o++) {
      expect(first[o]! >= 0 && first[o]! + count[o]! <= from && count[o]! <= stride).toBe(true);
      const row = weights.subarray(o * stride, o * stride + count[o]!);
      expect(row.reduce((sum, w) => sum + w, 0)).toBeCloseTo(1, 12);
    }
  }
});

test('the kernel interpolates: one at zero, none at whole distances', () => {
  expect([0, 1, -1, 2, 3].map(cubicKernel).map((v) => Math.abs(v))).toEqual([1, 0, 0, 0, 0]);
  expect(cubicKernel(0.5)).toBeCloseTo(0.5625, 12);
});

test('the same grid is a copy, a wrong length an error', () => {
  const same = Float32Array.of(1, 2, 3, 4, 5);
  const copy = resizePositionEmbedding(same, 2, 2, 1);
  expect(copy).toEqual(same);
  expect(copy).not.toBe(same);
  expect(() => resizePositionEmbedding(same, 3, 2, 1)).toThrow(ShapeError);
  expect(() => bicubicWeights(0, 4)).toThrow(ShapeError);
});
