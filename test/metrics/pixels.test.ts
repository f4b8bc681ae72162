import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type PixelImage, type PixelOptions, pixelMetrics, rankingMetrics } from '../../src/metrics';
import { RegionFinder } from '../../src/metrics/regions';
import { BUCKETS, bucketOf, scoreOf, sortableKeys } from '../../src/metrics/sortable';
import { OptionError, ShapeError, ValueError } from '../../src/runtime/errors';
import { Random } from '../../src/runtime/random';
import { naiveAupro, naiveRegions } from './naive';

const golden = JSON.parse(readFileSync(new URL('../fixtures/metrics.json', import.meta.url), 'utf8'))
  .pixel as {
  masks: number[][];
  maps: number[][];
  size: number;
  auroc: number;
  aupro30: number;
  ap: number;
  f1max: number;
};

const NONE: PixelOptions = { resamples: 0 };

function images(maps: readonly (readonly number[])[], masks: readonly (readonly number[])[], width: number) {
  return maps.map((map, i) => ({ map: Float32Array.from(map), mask: Uint8Array.from(masks[i]!), width }));
}

/** Half of the images have a square lesion, where scores are higher. */
function noisy(count: number, size: number, seed = 1, levels?: number): PixelImage[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, i) => {
    const [x, y, side] = [random.integer(0, size), random.integer(0, size), random.integer(2, size / 2)];
    const lift = random.normal();
    const mask = Uint8Array.from({ length: size * size }, (_, p) =>
      Number(
        i % 2 === 1 && Math.abs((p % size) - x) < side / 2 && Math.abs(Math.floor(p / size) - y) < side / 2,
      ),
    );
    const map = Float32Array.from(mask, (m) => {
      const score = random.normal() + 0.4 * lift + 1.5 * m;
      return levels === undefined ? score : Math.round(score * levels) / levels;
    });
    return { map, mask };
  });
}

/** All pixels at once, by the code for images. */
function atOnce(some: readonly PixelImage[], specificities?: number[]) {
  return rankingMetrics(
    some.flatMap(({ mask }) => Array.from(mask)),
    some.flatMap(({ map }) => Array.from(map)),
    { ...NONE, ...(specificities && { specificities }) },
  );
}

describe('keys', () => {
  test('have the order of the scores', () => {
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true })), (scores) => {
        const map = Float32Array.from([...scores, 0, -0]);
        const keys = new Int32Array(map.length);
        sortableKeys(map, keys, 'It');
        for (let i = 0; i < map.length; i++) {
          expect(scoreOf(keys[i]!)).toBe(map[i]! + 0);
          expect(bucketOf(keys[i]!)).toBeGreaterThanOrEqual(0);
          expect(bucketOf(keys[i]!)).toBeLessThan(BUCKETS);
          for (let j = 0; j < map.length; j++) {
            expect(Math.sign(keys[i]! - keys[j]!)).toBe(map[i]! > map[j]! ? 1 : map[i]! < map[j]! ? -1 : 0);
          }
        }
      }),
    );
  });
});

test('regions are 8-connected', () => {
  const finder = new RegionFinder();
  expect(finder.find(Uint8Array.of(1, 0, 0, 1), 2).count).toBe(1);
  // The end of a row does not touch the start of the next.
  expect(finder.find(Uint8Array.of(0, 0, 1, 1, 0, 0), 3).count).toBe(2);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 7 }), fc.array(fc.boolean(), { maxLength: 60 }), (width, bits) => {
      const mask = Uint8Array.from({ length: Math.floor(bits.length / width) * width }, (_, i) =>
        Number(bits[i]),
      );
      const labels = naiveRegions(mask, width);
      const { count, sizeAt } = finder.find(mask, width);
      expect(count).toBe(new Set(labels.filter((label) => label > 0)).size);
      expect(Array.from(sizeAt)).toEqual(
        labels.map((label) => (label > 0 ? labels.filter((other) => other === label).length : 0)),
      );
    }),
  );
});

describe('values', () => {
  test('scikit-learn’s pixels and AUPRO', async () => {
    const got = await pixelMetrics(images(golden.maps, golden.masks, golden.size), NONE);
    expect(Math.abs(got.auroc.value - golden.auroc)).toBeLessThan(1e-12);
    expect(Math.abs(got.ap.value - golden.ap)).toBeLessThan(1e-12);
    expect(Math.abs(got.f1max.value - golden.f1max)).toBeLessThan(1e-12);
    expect(Math.abs(got.aupro.value - golden.aupro30)).toBeLessThan(1e-12);
  });

  const tiny = fc.array(
    fc.array(fc.record({ score: fc.integer({ min: -3, max: 3 }), abnormal: fc.boolean() }), {
      minLength: 12,
      maxLength: 12,
    }),
    { minLength: 1, maxLength: 4 },
  );

  test('equal the definitions, in one pass or in many', async () => {
    await fc.assert(
      fc.asyncProperty(tiny, fc.constantFrom(1, 30, 2 ** 20), async (pixels, memory) => {
        const some = images(
          pixels.map((image) => image.map(({ score }) => score / 7)),
          pixels.map((image) => image.map(({ abnormal }) => Number(abnormal))),
          4,
        );
        const got = await pixelMetrics(some, { ...NONE, memory });
        const want = atOnce(some);
        fc.pre(!Number.isNaN(want.auroc.value));
        expect(got.aupro.value).toBeCloseTo(naiveAupro(some), 12);
        const { aupro: _, ...rest } = got;
        expect(rest).toEqual(want);
      }),
    );
  });

  // 4096 and fewer pixels a bucket are sorted, more are counted; little memory takes tables and further passes.
  test.each([
    ['many scores, few a bucket', 6, 64, undefined, 2 ** 28],
    ['many scores in several passes', 6, 64, undefined, 20_000],
    ['many pixels a bucket', 6, 64, 2, 2 ** 28],
    ['one bucket a pass', 6, 64, 2, 1],
  ])('%s', async (_, count, size, levels, memory) => {
    const some = noisy(count, size, 3, levels);
    const got = await pixelMetrics(some, { ...NONE, memory });
    const want = atOnce(some);
    const { aupro, ...rest } = got;
    expect(rest).toEqual(want);
    expect((await pixelMetrics(some, NONE)).aupro.value).toBeCloseTo(aupro.value, 12);
  });

  test('tables, where a bucket has more pixels than they have bytes', async () => {
    const n = 1000;
    const mask = new Uint8Array(n * n);
    mask.fill(1, 0, 3000);
    const map = Float32Array.from(mask, (m, i) => 1 + ((i * 7919) % 1000) / 1e6 + m * 2e-4);
    const some = [{ map, mask }];
    const roomy = await pixelMetrics(some, NONE);
    const tight = await pixelMetrics(some, { ...NONE, memory: 2 ** 20 });
    expect(tight.auroc).toEqual(roomy.auroc);
    expect(tight.ap).toEqual(roomy.ap);
    expect(tight.roc).toEqual(roomy.roc);
    expect(tight.aupro.value).toBeCloseTo(roomy.aupro.value, 12);
    const once = {
      unread: true,
      *[Symbol.iterator]() {
        if (this.unread) yield some[0]!;
        this.unread = false;
      },
    };
    await expect(pixelMetrics(once, { ...NONE, memory: 2 ** 20 })).rejects.toThrow(/read again/);
  });

  test('images may differ in size, and come from files that are opened anew', async () => {
    const some: PixelImage[] = [
      ...noisy(2, 8),
      ...noisy(2, 12),
      { map: new Float32Array(6), mask: new Uint8Array(6), width: 3 },
    ];
    let opened = 0;
    const files = {
      async *[Symbol.asyncIterator]() {
        opened++;
        for (const image of some) yield image;
      },
    };
    expect(await pixelMetrics(files)).toEqual(await pixelMetrics(some));
    expect(opened).toBe(3);
  });

  test('one class alone has no value', async () => {
    const none = await pixelMetrics([{ map: Float32Array.of(1, 2, 3, 4), mask: new Uint8Array(4) }]);
    expect([none.auroc.value, none.aupro.value, none.f1max.threshold, none.ap.low]).toEqual(
      Array(4).fill(Number.NaN),
    );
    expect((await pixelMetrics([])).aupro.value).toBeNaN();
  });
});

describe('refusals', () => {
  const good = { map: Float32Array.of(1, 2, 3, 4), mask: Uint8Array.of(0, 1, 0, 1) };

  test('NaN, shapes, options', async () => {
    const nan = { ...good, map: Float32Array.of(1, 2, Number.NaN, 4) };
    await expect(pixelMetrics([good, nan])).rejects.toThrow(ValueError);
    await expect(pixelMetrics([good, nan])).rejects.toThrow(/Image 1: pixel 2/);
    await expect(pixelMetrics([{ ...good, mask: new Uint8Array(3) }])).rejects.toThrow(ShapeError);
    await expect(pixelMetrics([{ ...good, width: 3 }])).rejects.toThrow(ShapeError);
    await expect(pixelMetrics([{ map: new Float32Array(3), mask: new Uint8Array(3) }])).rejects.toThrow(
      ShapeError,
    );
    await expect(pixelMetrics([good], { memory: 0 })).rejects.toThrow(OptionError);
  });

  test('images that are not the same again', async () => {
    async function* once() {
      yield good;
    }
    await expect(pixelMetrics(once())).rejects.toThrow(/read again/);
    for (const change of [
      { mask: Uint8Array.of(1, 1, 0, 0) },
      { map: Float32Array.of(5, 2, 3, 4) },
      { map: Float32Array.of(1, 5, 3, 4) },
    ]) {
      let pass = 0;
      const changing = {
        *[Symbol.iterator]() {
          yield pass++ === 0 ? good : { ...good, ...change };
        },
      };
      await expect(pixelMetrics(changing)).rejects.toThrow(/read again/);
    }
  });
});

describe('intervals', () => {
  test('the same seed gives the same, and they hold the value', async () => {
    const some = noisy(20, 16);
    const first = await pixelMetrics(some, { seed: 3 });
    expect(await pixelMetrics(some, { seed: 3 })).toEqual(first);
    for (const { value, low, high } of [first.auroc, first.ap, first.f1max, first.aupro]) {
      expect(low).toBeLessThan(value);
      expect(high).toBeGreaterThan(value);
    }
  });

  test.each([
    ['to the width of the bins', undefined, 2e-3],
    ['exactly where every score has a bin of its own', 1, 1e-12],
  ])('are those of resampling all pixels, %s', async (_, levels, tolerance) => {
    const some = noisy(16, 12, 5, levels);
    const got = await pixelMetrics(some, { resamples: 200, seed: 9 });
    // The same draws (normal images first, then abnormal ones), every resample evaluated exactly.
    const random = new Random(9);
    const strata = [0, 1].map((kind) => some.filter(({ mask }) => Number(mask.includes(1)) === kind));
    const exact: number[][] = [[], [], [], []];
    for (let r = 0; r < 200; r++) {
      const drawn = strata.flatMap((stratum) =>
        stratum.map(() => stratum[random.integer(0, stratum.length)]!),
      );
      const { auroc, ap, f1max, aupro } = await pixelMetrics(drawn, NONE);
      [auroc, ap, f1max, aupro].forEach(({ value }, i) => {
        exact[i]!.push(value);
      });
    }
    [got.auroc, got.ap, got.f1max, got.aupro].forEach(({ low, high }, i) => {
      const sorted = exact[i]!.sort((a, b) => a - b);
      const quantile = (share: number) => {
        const at = share * 199;
        return sorted[Math.floor(at)]! + (at % 1) * (sorted[Math.ceil(at)]! - sorted[Math.floor(at)]!);
      };
      expect(Math.abs(low - quantile(0.025))).toBeLessThan(tolerance);
      expect(Math.abs(high - quantile(0.975))).toBeLessThan(tolerance);
    });
  });
});
