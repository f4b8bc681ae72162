import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { makePhantom, modalities } from '../../src/data/phantoms';
import { OptionError } from '../../src/runtime/errors';
import { Random } from '../../src/runtime/random';

const sha256 = (...parts: Uint8Array[]) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex').slice(0, 16);
};

test('the same seed gives the same bytes, in every release', () => {
  const sums = modalities.map((modality, seed) => {
    const { image, mask } = makePhantom(seed, { modality, abnormal: true, size: 112 });
    return sha256(image.data, mask);
  });
  expect(sums).toEqual(PINNED);
});

test('lesions lie where the mask says, and only there', () => {
  for (const modality of modalities) {
    for (let seed = 0; seed < 8; seed++) {
      const healthy = makePhantom(seed, { modality, abnormal: false });
      expect(healthy.abnormal).toBe(false);
      expect(healthy.mask.includes(1)).toBe(false);
      const ill = makePhantom(seed, { modality, abnormal: true });
      const area = ill.mask.reduce((sum, v) => sum + v, 0);
      expect([ill.abnormal, ill.modality]).toEqual([true, modality]);
      expect(area).toBeGreaterThan(0);
      expect(area).toBeLessThan(0.4 * ill.mask.length);
    }
  }
});

test('a lesion can be told from its surroundings', () => {
  let visible = 0;
  for (let seed = 0; seed < 60; seed++) {
    const { image, mask } = makePhantom(seed, { abnormal: true, modality: modalities[seed % 6]! });
    const green = (i: number) => image.data[i * 3 + 1]!;
    const inside: number[] = [];
    const outside: number[] = [];
    for (let i = 0; i < mask.length; i++) {
      if (mask[i]) inside.push(green(i));
      else if ([-8, 8, -896, 896].some((d) => mask[i + d])) outside.push(green(i));
    }
    const mean = (list: number[]) => list.reduce((sum, v) => sum + v, 0) / list.length;
    if (Math.abs(mean(inside) - mean(outside)) > 8) visible++;
  }
  expect(visible).toBeGreaterThan(45);
});

test('left alone, modalities and lesions are drawn evenly', () => {
  const drawn = Array.from({ length: 300 }, (_, seed) => makePhantom(seed, { size: 16 }));
  for (const modality of modalities) {
    expect(drawn.filter((p) => p.modality === modality).length).toBeGreaterThan(25);
  }
  expect(Math.abs(drawn.filter((p) => p.abnormal).length - 150)).toBeLessThan(40);
});

test('any size from 16 on', () => {
  expect(makePhantom(0, { size: 240 }).image.data.length).toBe(240 * 240 * 3);
  expect(() => makePhantom(0, { size: 15 })).toThrow(OptionError);
});

test('random numbers have the moments they should', () => {
  const random = new Random(7);
  const n = 100_000;
  let [sum, squares, uniform] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const v = random.normal();
    sum += v;
    squares += v * v;
    uniform += random.uniform();
  }
  expect(Math.abs(sum / n)).toBeLessThan(0.02);
  expect(Math.abs(squares / n - 1)).toBeLessThan(0.02);
  expect(Math.abs(uniform / n - 0.5)).toBeLessThan(0.01);
});

const PINNED = [
  '7a52af8481bc0c35',
  '0c8d9081b736ab5e',
  'ede1d70a9dbf6a96',
  '416b0e2a09d8e6d1',
  '66c8a0f8deccf1eb',
  'f050cb8636dc58dd',
];
