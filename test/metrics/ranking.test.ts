import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { auroc, type Curve, rankingMetrics } from '../../src/metrics';
import { OptionError, ShapeError, ValueError } from '../../src/runtime/errors';
import { Random } from '../../src/runtime/random';
import {
  confusion,
  naiveAp,
  naiveAuroc,
  naiveF1,
  naiveSensitivityAt,
  type Sample,
  thresholdsOf,
} from './naive';

const golden = JSON.parse(readFileSync(new URL('../fixtures/metrics.json', import.meta.url), 'utf8')) as {
  image: { labels: number[]; scores: number[]; auroc: number; ap: number; f1max: number }[];
};

const NONE = { resamples: 0 };

/** Few distinct scores: ties are the rule. Both classes are there. */
const samples = fc
  .array(fc.record({ abnormal: fc.boolean(), score: fc.integer({ min: -4, max: 4 }) }), { maxLength: 40 })
  .map((some): Sample[] => [...some, { abnormal: true, score: 0 }, { abnormal: false, score: 1 }]);

const labelsOf = (some: readonly Sample[]) => some.map(({ abnormal }) => abnormal);
const scoresOf = (some: readonly Sample[]) => some.map(({ score }) => score);

function noisy(n: number, seed = 1): Sample[] {
  const random = new Random(seed);
  return Array.from({ length: n }, (_, i) => ({
    abnormal: i % 3 === 0,
    score: random.normal() + (i % 3 === 0 ? 1 : 0),
  }));
}

describe('values', () => {
  test.each(golden.image.map((c, i) => [i, c] as const))('scikit-learn’s case %i', (_, want) => {
    const got = rankingMetrics(want.labels, want.scores, NONE);
    expect(Math.abs(got.auroc.value - want.auroc)).toBeLessThan(1e-12);
    expect(Math.abs(got.ap.value - want.ap)).toBeLessThan(1e-12);
    expect(Math.abs(got.f1max.value - want.f1max)).toBeLessThan(1e-12);
    expect(auroc(want.labels, want.scores)).toBe(got.auroc.value);
  });

  test('equal the definitions', () => {
    fc.assert(
      fc.property(samples, (some) => {
        const specificities = [0, 0.5, 0.9, 1];
        const got = rankingMetrics(labelsOf(some), scoresOf(some), { ...NONE, specificities });
        expect(got.auroc.value).toBeCloseTo(naiveAuroc(some), 12);
        expect(got.ap.value).toBeCloseTo(naiveAp(some), 12);
        const best = Math.max(...thresholdsOf(some).map((t) => naiveF1(some, t)));
        expect(got.f1max.value).toBeCloseTo(best, 12);
        expect(naiveF1(some, got.f1max.threshold)).toBeCloseTo(best, 12);
        got.sensitivityAt.forEach(({ wanted, sensitivity, specificity, threshold }, i) => {
          expect(wanted).toBe(specificities[i]);
          expect(sensitivity).toBeCloseTo(naiveSensitivityAt(some, wanted), 12);
          const { tp, fn, fp, tn } = confusion(some, threshold);
          expect(tp / (tp + fn)).toBeCloseTo(sensitivity, 12);
          expect(tn / (tn + fp)).toBeCloseTo(specificity, 12);
          expect(specificity).toBeGreaterThanOrEqual(wanted);
        });
      }),
    );
  });

  test('0 and -0 tie, infinities rank', () => {
    expect(auroc([1, 0], [0, -0])).toBe(0.5);
    expect(auroc([1, 0, 0], [Number.POSITIVE_INFINITY, 1, Number.NEGATIVE_INFINITY])).toBe(1);
  });

  test('of two thresholds with the same F1 the higher is taken', () => {
    expect(rankingMetrics([1, 0, 0, 1], [4, 3, 2, 1], NONE).f1max).toMatchObject({
      value: 2 / 3,
      threshold: 4,
    });
  });

  test('one class alone has no value, NaN is refused', () => {
    const got = rankingMetrics([1, 1], [1, 2]);
    expect([got.auroc.value, got.ap.value, got.f1max.value, got.f1max.threshold, got.auroc.low]).toEqual(
      Array(5).fill(Number.NaN),
    );
    expect(got.sensitivityAt[0]!.sensitivity).toBeNaN();
    expect(got.roc.x).toEqual([]);
    expect(rankingMetrics([], []).ap.high).toBeNaN();
    expect(() => rankingMetrics([0, 1], [1, Number.NaN])).toThrow(ValueError);
    expect(() => auroc([0], [1, 2])).toThrow(ShapeError);
    expect(() => rankingMetrics([0, 1], [1, 2], { specificities: [95] })).toThrow(OptionError);
    expect(() => rankingMetrics([0, 1], [1, 2], { resamples: -1 })).toThrow(OptionError);
  });
});

describe('curves', () => {
  /** y at x on the polygon, the highest where it is vertical. */
  function at(curve: Curve, x: number): number {
    let best = Number.NEGATIVE_INFINITY;
    for (let i = 1; i < curve.x.length; i++) {
      const [x0, x1, y0, y1] = [curve.x[i - 1]!, curve.x[i]!, curve.y[i - 1]!, curve.y[i]!];
      if (x < x0 - 1e-12 || x > x1 + 1e-12) continue;
      best = Math.max(best, x1 === x0 ? Math.max(y0, y1) : y0 + ((y1 - y0) * (x - x0)) / (x1 - x0));
    }
    return best;
  }

  test('of few samples: every corner and nothing on straight lines', () => {
    fc.assert(
      fc.property(samples, (some) => {
        const { roc, pr } = rankingMetrics(labelsOf(some), scoresOf(some), NONE);
        expect([roc.x[0], roc.y[0], roc.x.at(-1), roc.y.at(-1)]).toEqual([0, 0, 1, 1]);
        expect([pr.x[0], pr.y[0], pr.x.at(-1)]).toEqual([0, 1, 1]);
        for (const threshold of thresholdsOf(some)) {
          const { tp, fn, fp, tn } = confusion(some, threshold);
          expect(at(roc, fp / (fp + tn))).toBeGreaterThanOrEqual(tp / (tp + fn) - 1e-12);
          expect(at(pr, tp / (tp + fn))).toBeGreaterThanOrEqual(tp / (tp + fp) - 1e-12);
        }
        for (const [i, threshold] of roc.threshold.entries()) {
          const { tp, fn, fp, tn } = confusion(some, threshold);
          expect([roc.x[i], roc.y[i]]).toEqual([fp / (fp + tn), tp / (tp + fn)]);
        }
        for (const [i, threshold] of pr.threshold.entries()) {
          if (threshold === Number.POSITIVE_INFINITY) continue;
          const { tp, fn, fp } = confusion(some, threshold);
          expect([pr.x[i], pr.y[i]]).toEqual([tp / (tp + fn), tp / (tp + fp)]);
        }
        for (let i = 2; i < roc.x.length; i++) {
          const turn =
            (roc.x[i - 1]! - roc.x[i - 2]!) * (roc.y[i]! - roc.y[i - 2]!) -
            (roc.x[i]! - roc.x[i - 2]!) * (roc.y[i - 1]! - roc.y[i - 2]!);
          expect(Math.abs(turn)).toBeGreaterThan(1e-9);
        }
      }),
    );
  });

  test('of many samples: 512 points, hardly another area', () => {
    const some = noisy(30_000);
    const got = rankingMetrics(labelsOf(some), scoresOf(some), NONE);
    for (const curve of [got.roc, got.pr]) {
      expect(curve.x.length).toBeLessThanOrEqual(512);
      expect(curve.x.length).toBeGreaterThan(400);
      expect(curve.threshold.length).toBe(curve.x.length);
    }
    let area = 0;
    for (let i = 1; i < got.roc.x.length; i++) {
      area += ((got.roc.x[i]! - got.roc.x[i - 1]!) * (got.roc.y[i]! + got.roc.y[i - 1]!)) / 2;
    }
    expect(area).toBeCloseTo(got.auroc.value, 4);
  });

  test('the corner of a perfect ranking among many is kept', () => {
    const n = 20_000;
    const { roc } = rankingMetrics(
      Array.from({ length: n }, (_, i) => i >= n / 2),
      Array.from({ length: n }, (_, i) => i),
      NONE,
    );
    expect(roc.x.length).toBeLessThanOrEqual(4);
    const nearest = roc.x.map((x, i) => Math.hypot(x, 1 - roc.y[i]!));
    expect(Math.min(...nearest)).toBeLessThan(1 / 4096);
    const tied = Array.from({ length: n }, (_, i) => (i < n / 2 ? 0 : i));
    const { roc: jump } = rankingMetrics(tied, tied, NONE);
    expect([jump.x, jump.y]).toEqual([
      [0, 0, 1],
      [0, 1, 1],
    ]);
    const { roc: small } = rankingMetrics([1, 1, 1, 0, 0, 0], [6, 5, 4, 3, 2, 1], NONE);
    expect([small.x, small.y]).toEqual([
      [0, 0, 1],
      [0, 1, 1],
    ]);
  });
});

describe('intervals', () => {
  const some = noisy(300);
  const labels = labelsOf(some);
  const scores = scoresOf(some);

  test('are the same for the same seed, and other for another', () => {
    const first = rankingMetrics(labels, scores, { seed: 7 });
    expect(rankingMetrics(labels, scores, { seed: 7 })).toEqual(first);
    expect(rankingMetrics(labels, scores, { seed: 8 }).auroc.low).not.toBe(first.auroc.low);
  });

  test('hold the value, and are as wide as theory says', () => {
    const { auroc: area, ap, f1max } = rankingMetrics(labels, scores);
    for (const { value, low, high } of [area, ap, f1max]) {
      expect(low).toBeLessThan(value);
      expect(high).toBeGreaterThan(value);
    }
    // Hanley and McNeil (1982), equation 1.
    const [a, p, n] = [area.value, labels.filter(Boolean).length, labels.filter((x) => !x).length];
    const [q1, q2] = [a / (2 - a), (2 * a * a) / (1 + a)];
    const deviation = Math.sqrt((a * (1 - a) + (p - 1) * (q1 - a * a) + (n - 1) * (q2 - a * a)) / (p * n));
    expect((area.high - area.low) / (2 * 1.96 * deviation)).toBeGreaterThan(0.85);
    expect((area.high - area.low) / (2 * 1.96 * deviation)).toBeLessThan(1.15);
  });

  test('a resample keeps the number of each class: one sample of each leaves nothing to vary', () => {
    const { auroc: area, ap } = rankingMetrics([0, 1], [1, 2]);
    expect(area).toEqual({ value: 1, low: 1, high: 1 });
    expect(ap).toEqual({ value: 1, low: 1, high: 1 });
  });
});
