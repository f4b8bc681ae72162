import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { auroc, PixelAuroc } from '../../src/data/auroc';
import { ShapeError, ValueError } from '../../src/runtime/errors';

const golden = JSON.parse(readFileSync(new URL('../fixtures/metrics.json', import.meta.url), 'utf8')) as {
  image: { labels: number[]; scores: number[]; auroc: number }[];
  pixel: { masks: number[][] | number[][][]; maps: number[][] | number[][][]; auroc: number };
};

describe('area under the ROC curve', () => {
  test.each(golden.image.map((c, i) => [i, c] as const))(
    'scikit-learn’s case %i',
    (_, { labels, scores, auroc: want }) => {
      expect(auroc(labels, scores)).toBeCloseTo(want, 12);
    },
  );

  test('scikit-learn’s pixels, image by image', () => {
    const { masks, maps, auroc: want } = golden.pixel;
    const pixels = new PixelAuroc();
    masks.forEach((mask, i) => {
      pixels.add(mask.flat() as number[], Float32Array.from(maps[i]!.flat() as number[]));
      pixels.value();
    });
    expect(pixels.value()).toBeCloseTo(want, 7);
  });

  test('equals the count over all pairs, ties half', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: -3, max: 3 })), { minLength: 1 }),
        (samples) => {
          let sum = 0;
          let pairs = 0;
          for (const [a, x] of samples) {
            for (const [b, y] of samples) {
              if (!a || b) continue;
              pairs++;
              sum += x > y ? 1 : x === y ? 0.5 : 0;
            }
          }
          fc.pre(pairs > 0);
          const labels = samples.map(([abnormal]) => abnormal);
          const scores = samples.map(([, score]) => score);
          expect(auroc(labels, scores)).toBeCloseTo(sum / pairs, 12);
          const pixels = new PixelAuroc();
          pixels.add(labels.map(Number), Float32Array.from(scores));
          expect(pixels.value()).toBeCloseTo(sum / pairs, 12);
        },
      ),
    );
  });

  test('more pixels than the first buffer holds', () => {
    const n = 200_000;
    const pixels = new PixelAuroc();
    pixels.add(
      Uint8Array.from({ length: n }, (_, i) => i & 1),
      Float32Array.from({ length: n }, (_, i) => (i & 1 ? 2 : 1)),
    );
    expect(pixels.value()).toBe(1);
  });

  test('one class alone has no area, NaN is refused', () => {
    expect(auroc([1, 1], [1, 2])).toBeNaN();
    expect(new PixelAuroc().value()).toBeNaN();
    expect(() => auroc([0, 1], [1, Number.NaN])).toThrow(ValueError);
    expect(() => auroc([0], [1, 2])).toThrow(ShapeError);
    const pixels = new PixelAuroc();
    expect(() => pixels.add([0, 1], Float32Array.of(1, Number.NaN))).toThrow(/Score 1/);
    expect(pixels.value()).toBeNaN();
  });
});
