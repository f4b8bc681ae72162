import { describe, expect, test } from 'vitest';
import { BatchOrder } from '../../src/training/batches';
import { completeOptions, DEFAULTS } from '../../src/training/options';
import { rateFactor } from '../../src/training/schedule';

describe('batch order', () => {
  const options = { batch: 4, seed: 7, shuffle: true };
  const groups = (n: number) => Array.from({ length: n }, () => '');
  const epoch = (order: BatchOrder, e: number) =>
    Array.from({ length: order.stepsPerEpoch }, (_, i) => order.at(e * order.stepsPerEpoch + i));

  test('an epoch has every sample once, in batches, the last smaller', () => {
    const order = new BatchOrder(groups(10), options);
    expect(order.stepsPerEpoch).toBe(3);
    const batches = epoch(order, 0);
    expect(batches.map((b) => b.samples.length)).toEqual([4, 4, 2]);
    expect(batches.flatMap((b) => b.samples).sort((a, b) => a - b)).toEqual([...Array(10).keys()]);
    expect(batches.map((b) => b.epoch)).toEqual([0, 0, 0]);
  });

  test('epochs differ, seeds differ, the same seed repeats, in whatever order steps are asked', () => {
    const order = new BatchOrder(groups(10), options);
    const [first, second] = [epoch(order, 0), epoch(order, 1)];
    expect(first.map((b) => b.samples)).not.toEqual(second.map((b) => b.samples));
    expect(new BatchOrder(groups(10), { ...options, seed: 8 }).at(0)).not.toEqual(order.at(0));
    const again = new BatchOrder(groups(10), options);
    expect(again.at(4)).toEqual(second[1]);
    expect(again.at(0)).toEqual(first[0]);
  });

  test('without shuffling the order is kept', () => {
    const order = new BatchOrder(groups(6), { ...options, shuffle: false });
    expect(epoch(order, 3).map((b) => b.samples)).toEqual([
      [0, 1, 2, 3],
      [4, 5],
    ]);
  });

  test('a batch holds one group only, and groups mix within an epoch', () => {
    const order = new BatchOrder(['a', 'b', 'a', 'b', 'a', 'b', 'a', 'b', 'a'], { ...options, batch: 2 });
    const seen = new Set<string>();
    for (let e = 0; e < 8; e++) {
      for (const { samples } of epoch(order, e)) expect(new Set(samples.map((s) => s % 2)).size).toBe(1);
      seen.add(
        epoch(order, e)
          .map((b) => b.samples[0]! % 2)
          .join(''),
      );
    }
    expect(order.stepsPerEpoch).toBe(5);
    expect(seen.size).toBeGreaterThan(1);
  });
});

describe('learning rate', () => {
  test('constant, with and without warm-up', () => {
    const rate = (warmup: number, step: number) => rateFactor({ name: 'constant', warmup, total: 10 }, step);
    expect([0, 5, 9].map((s) => rate(0, s))).toEqual([1, 1, 1]);
    expect([0, 1, 3, 4].map((s) => rate(4, s))).toEqual([0.25, 0.5, 1, 1]);
  });

  test('cosine falls from 1 to 0 over what follows the warm-up', () => {
    const rate = (step: number) => rateFactor({ name: 'cosine', warmup: 2, total: 12 }, step);
    expect(rate(2)).toBe(1);
    expect(rate(7)).toBeCloseTo(0.5, 12);
    expect(rate(12)).toBeCloseTo(0, 12);
    expect(rate(30)).toBeCloseTo(0, 12);
  });
});

describe('options', () => {
  test("defaults are the authors' numbers", () => {
    expect(completeOptions({})).toEqual(DEFAULTS);
    expect(DEFAULTS).toMatchObject({ batch: 16, epochs: 50, seed: 111, adapterRate: 1e-4, promptRate: 1e-3 });
  });

  test.each([
    [{ batch: 0 }, /batch is 0/],
    [{ epochs: 1.5 }, /epochs is 1.5/],
    [{ adapterRate: -1 }, /adapterRate is -1/],
    [{ promptRate: Number.NaN }, /promptRate is NaN/],
    [{ betas: [0.5, 1] as [number, number] }, /betas are 0.5 and 1/],
    [{ momentum: 1 }, /below 1/],
  ])('%o is refused', (given, message) => {
    expect(() => completeOptions(given)).toThrow(message);
  });
});
