import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CheckOptions,
  type CheckReport,
  checkSplits,
  type SplitToCheck,
} from '../../src/data/check/check';
import type { FindingKind } from '../../src/data/check/findings';
import { closePairs, lookHash } from '../../src/data/check/near-duplicates';
import { type LabelledImage, makeDataset, type UnusedMasks } from '../../src/data/datasets';
import type { RgbImage } from '../../src/data/image';
import { makePhantom } from '../../src/data/phantoms';
import { resizeBicubic } from '../../src/data/resize';
import { BadImageError } from '../../src/runtime/errors';
import { Random } from '../../src/runtime/random';

/** Gray noise in blocks of four pixels: unlike any other seed's. */
function noise(seed: number, width = 32, height = width): RgbImage {
  const random = new Random(seed);
  const blocks = Array.from({ length: Math.ceil(width / 4) * Math.ceil(height / 4) }, () =>
    random.integer(0, 256),
  );
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    const [x, y] = [i % width, Math.floor(i / width)];
    data.fill(blocks[(y >> 2) * Math.ceil(width / 4) + (x >> 2)]!, 3 * i, 3 * i + 3);
  }
  return { width, height, data };
}

const flat = (value: number, width = 32, height = width): RgbImage => ({
  width,
  height,
  data: new Uint8Array(width * height * 3).fill(value),
});

/** A mask with one white square of `side` pixels. */
function spot(side: number, width = 32, height = width, value = 255): RgbImage {
  const image = flat(0, width, height);
  for (let y = 1; y <= side; y++) image.data.fill(value, 3 * (y * width + 1), 3 * (y * width + 1 + side));
  return image;
}

type Files = Readonly<Record<string, RgbImage | { readonly broken: string }>>;

function run(
  files: Files,
  splits: readonly SplitToCheck[],
  options: Partial<CheckOptions> = {},
): Promise<CheckReport> {
  const pictures = new Map<Uint8Array, RgbImage>();
  return checkSplits(splits, {
    side: 32,
    shorten: (text) => text.replaceAll('/data/', ''),
    read: async (path) => {
      const file = files[path];
      if (!file) throw new BadImageError(path, 'the file cannot be read (ENOENT)');
      if ('broken' in file) throw new BadImageError(path, file.broken);
      const bytes = Uint8Array.from(Buffer.concat([file.data, Buffer.from(path)]));
      pictures.set(bytes, file);
      return bytes;
    },
    decode: async (bytes) => pictures.get(bytes)!,
    digest: (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('md5')).digest('hex'),
    ...options,
  });
}

const normal = (path: string): LabelledImage => ({ path: `/data/${path}`, abnormal: false });
const abnormal = (path: string, mask?: string): LabelledImage => ({
  path: `/data/${path}`,
  abnormal: true,
  ...(mask !== undefined && { mask: `/data/${mask}` }),
});
const split = (
  images: readonly LabelledImage[],
  { name = 'Set', split = 'all', unused }: { name?: string; split?: string; unused?: UnusedMasks } = {},
): SplitToCheck => ({ split, dataset: makeDataset(name, name, images, unused ? { unused } : {}) });

/** "kind: file = file: detail", sorted. */
const said = ({ findings }: CheckReport, kind?: FindingKind): string[] =>
  findings
    .filter((finding) => kind === undefined || finding.kind === kind)
    .map(({ kind, files, detail }) => [kind, files.join(' = '), detail].filter(Boolean).join(': '))
    .sort();

const good: Files = { '/data/n.png': noise(1), '/data/a.png': noise(2), '/data/m.png': spot(8) };

test('a data set with nothing wrong: counts alone', async () => {
  const report = await run(good, [split([normal('n.png'), abnormal('a.png', 'm.png')])]);
  expect(report.findings).toEqual([]);
  expect(report).toMatchObject({ checked: 2, complete: true });
  expect(report.counts).toEqual([
    {
      dataset: 'Set',
      split: 'all',
      label: 'normal',
      images: 1,
      unreadable: 0,
      masks: 0,
      coloured: 0,
      size: { width: [32, 32], height: [32, 32] },
    },
    expect.objectContaining({ label: 'abnormal', images: 1, masks: 1 }),
  ]);
});

describe('masks', () => {
  const check = async (mask: RgbImage | { broken: string }, picture = noise(2, 64, 32)) =>
    said(
      await run({ ...good, '/data/a.png': picture, '/data/m.png': mask }, [
        split([normal('n.png'), abnormal('a.png', 'm.png')]),
      ]),
    );

  test.each([
    ['of its size', spot(8, 64, 32), []],
    ['scaled', spot(8, 128, 64), ['scaled-mask: m.png: 128 x 64 pixels, the image has 64 x 32']],
    [
      'of another shape',
      spot(8, 32, 32),
      ['bad-mask: m.png: the mask has 32 x 32 pixels, its image 64 x 32: the shapes differ'],
    ],
    ['empty', flat(0, 64, 32), ['empty-mask: m.png']],
    [
      'of ones',
      spot(8, 64, 32, 1),
      ['bad-mask: m.png: its brightest pixel is 1 of 255, so that none would count as abnormal'],
    ],
    [
      'broken',
      { broken: 'the JPEG ends inside a marker' },
      ['unreadable-mask: m.png: the JPEG ends inside a marker'],
    ],
    ['of 128', spot(8, 64, 32, 128), []],
  ])('%s', async (_, mask, expected) => {
    expect(await check(mask)).toEqual(expected);
  });

  test('that is too small for the model’s size', async () => {
    const small = { ...good, '/data/a.png': noise(2, 320), '/data/m.png': spot(3, 320) };
    const report = await run(small, [split([normal('n.png'), abnormal('a.png', 'm.png')])]);
    expect(said(report)).toEqual(['vanishing-mask: m.png: 32 x 32 pixels']);
  });

  test('that lacks: tolerable in one’s own data, an error where masks are published', async () => {
    const images = [normal('n.png'), abnormal('a.png', 'm.png'), abnormal('b.png')];
    const files = { ...good, '/data/b.png': noise(3) };
    const own = await run(files, [split(images)]);
    expect(own.findings).toMatchObject([{ kind: 'missing-mask', severity: 'warning', files: ['b.png'] }]);
    const brain = await run(files, [split(images, { name: 'Brain' })]);
    expect(brain.findings).toMatchObject([{ kind: 'lacking-mask', severity: 'error', files: ['b.png'] }]);
    expect(said(await run(files, [split([normal('n.png'), abnormal('b.png')])]))).toEqual([]);
  });

  test('of normal images, and of none', async () => {
    const unused = {
      stray: ['/data/x.png'],
      ofNormal: ['/data/white.png', '/data/black.png', '/data/none.png'],
    };
    const files = { ...good, '/data/white.png': spot(4), '/data/black.png': flat(0) };
    expect(said(await run(files, [split([normal('n.png'), abnormal('a.png')], { unused })]))).toEqual([
      'marked-normal: white.png',
      'normal-mask: black.png',
      'stray-mask: x.png',
      'unreadable-mask: none.png: the file cannot be read (ENOENT)',
    ]);
  });
});

describe('duplicates', () => {
  const twin = noise(9);
  const files: Files = {
    ...good,
    ...Object.fromEntries(['1', '2', '3'].map((n) => [`/data/${n}.png`, twin])),
  };

  test('in one class; with both labels; across splits; across data sets', async () => {
    const inOne = await run(files, [split([normal('1.png'), normal('2.png'), abnormal('a.png')])]);
    expect(inOne.findings).toMatchObject([{ kind: 'duplicate', severity: 'warning' }]);
    expect(said(inOne)).toEqual(['duplicate: 1.png = 2.png: the same pixels']);
    const both = await run(files, [split([normal('1.png'), abnormal('2.png')])]);
    expect(both.findings).toMatchObject([
      { kind: 'contradiction', severity: 'error', files: ['1.png', '2.png'] },
    ]);
    const across = await run(files, [
      split([normal('1.png'), abnormal('a.png')], { split: 'valid' }),
      split([normal('2.png'), normal('3.png'), abnormal('n.png')], { split: 'test' }),
    ]);
    expect(across.findings[0]).toMatchObject({ kind: 'leak', severity: 'error' });
    expect(said(across)).toEqual(['leak: 1.png = 2.png = 3.png: the same pixels, in Set valid and Set test']);
    const sets = await run(files, [
      split([normal('1.png'), abnormal('a.png')]),
      split([normal('n.png'), abnormal('2.png')], { name: 'Other' }),
    ]);
    expect(said(sets)).toEqual([
      'contradiction: 1.png = 2.png: the same pixels',
      'leak: 1.png = 2.png: the same pixels, in Set all and Other all',
    ]);
  });

  test('the same bytes are called that; equal pixels in another shape are another picture', async () => {
    const reads = { read: async () => Uint8Array.of(1), decode: async () => twin };
    const bytes = await run(files, [split([normal('1.png'), normal('2.png'), abnormal('3.png')])], reads);
    expect(said(bytes, 'contradiction')).toEqual(['contradiction: 1.png = 2.png = 3.png: the same bytes']);
    const turned = { ...good, '/data/1.png': flat(7, 16, 64), '/data/2.png': flat(7, 64, 16) };
    expect(said(await run(turned, [split([normal('1.png'), normal('2.png'), abnormal('a.png')])]))).toEqual(
      [],
    );
  });

  test('copies that were scaled or compressed are hints; other pictures are not', async () => {
    const original = makePhantom(5, { modality: 'brain MRI', size: 96 }).image;
    const smaller = resizeBicubic(original, 64);
    const noisy = { ...original, data: original.data.map((v, i) => Math.min(255, v + (i % 3))) };
    const others = Object.fromEntries(
      Array.from({ length: 8 }, (_, i) => [
        `/data/p${i}.png`,
        makePhantom(50 + i, { modality: 'brain MRI', size: 96 }).image,
      ]),
    );
    const files = {
      ...good,
      ...others,
      '/data/o.png': original,
      '/data/s.png': smaller,
      '/data/y.png': noisy,
    };
    const report = await run(files, [
      split([normal('o.png'), ...Object.keys(others).map((p) => normal(p.slice(6))), abnormal('a.png')], {
        split: 'valid',
      }),
      split([normal('s.png'), normal('y.png'), abnormal('n.png')], { split: 'test' }),
    ]);
    expect(said(report, 'near-duplicate')).toEqual([
      'near-duplicate: o.png = s.png: in Set valid and Set test',
      'near-duplicate: o.png = y.png: in Set valid and Set test',
      'near-duplicate: s.png = y.png',
    ]);
    expect(report.findings.every(({ severity }) => severity === 'hint')).toBe(true);
  });
});

test('images: broken, missing, small, coloured', async () => {
  const colour = noise(4);
  // One pixel, in blue alone.
  colour.data.set([0, 0, 255]);
  const files: Files = {
    ...good,
    '/data/b.png': { broken: 'the compressed pixel data is damaged' },
    '/data/s.png': noise(5, 40, 15),
    '/data/c.png': colour,
  };
  const images = ['n.png', 'b.png', 'x.png', 's.png'].map(normal);
  const report = await run(files, [split([...images, abnormal('a.png'), abnormal('c.png')])]);
  expect(said(report)).toEqual([
    'mixed-colour: c.png: the first of 0 of 2 normal and 1 of 2 abnormal images in colour',
    'small-image: s.png: 40 x 15 pixels, the model takes 32 x 32',
    'unreadable-image: b.png: the compressed pixel data is damaged',
    'unreadable-image: x.png: the file cannot be read (ENOENT)',
  ]);
  expect(report.findings.map(({ severity }) => severity)).toEqual(['error', 'error', 'warning', 'warning']);
  expect(report.counts[0]).toMatchObject({
    images: 4,
    unreadable: 2,
    size: { width: [32, 40], height: [15, 32] },
  });
  const all = {
    ...good,
    '/data/n.png': colour,
    '/data/a.png': { ...colour, data: colour.data.toReversed() },
  };
  expect(said(await run(all, [split([normal('n.png'), abnormal('a.png')])]))).toEqual([]);
});

test('a signal stops it; what was found stands; an error of ours is no finding', async () => {
  const interrupt = new AbortController();
  const images = Array.from({ length: 9 }, (_, i) => normal(`${i}.png`));
  const seen: number[] = [];
  const report = await run(good, [split([...images, abnormal('a.png')])], {
    signal: interrupt.signal,
    onProgress: (done) => {
      seen.push(done);
      if (done === 4) interrupt.abort();
    },
  });
  expect(report).toMatchObject({ checked: 4, complete: false });
  expect(seen).toEqual([1, 2, 3, 4]);
  expect(said(report, 'unreadable-image')).toHaveLength(4);
  const bug = run(good, [split([normal('n.png'), abnormal('a.png')])], {
    decode: async () => {
      throw new TypeError('a bug');
    },
  });
  await expect(bug).rejects.toThrow(TypeError);
});

describe('hashes of looks', () => {
  test('close pairs are those that comparing all with all finds', () => {
    const hash = fc.array(fc.nat(255), { maxLength: 10 }).map((bits) => {
      // Near each other on purpose: a common start and few bits that differ.
      const words = new Uint32Array(8).fill(0x0f0f0f0f);
      for (const bit of bits) words[bit >> 5]! ^= 1 << (bit & 31);
      return words;
    });
    const distance = (a: Uint32Array, b: Uint32Array) =>
      a.reduce((sum, word, i) => sum + ((word ^ b[i]!) >>> 0).toString(2).replaceAll('0', '').length, 0);
    fc.assert(
      fc.property(fc.array(fc.option(hash, { nil: undefined }), { maxLength: 12 }), (hashes) => {
        const expected: [number, number][] = [];
        for (let a = 0; a < hashes.length; a++)
          for (let b = a + 1; b < hashes.length; b++)
            if (hashes[a] && hashes[b] && distance(hashes[a]!, hashes[b]!) <= 6) expected.push([a, b]);
        expect(closePairs(hashes, 1000, () => true)).toEqual(expected);
        expect(closePairs(hashes, 2, () => true)).toHaveLength(Math.min(2, expected.length));
      }),
      { numRuns: 200 },
    );
  });

  test('a flat picture has none, any size has one', () => {
    expect(lookHash(flat(90))).toBeUndefined();
    expect(lookHash(noise(1, 1, 1))).toBeUndefined();
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer(),
        (w, h, seed) => {
          const hash = lookHash(noise(seed, w, h));
          expect(hash === undefined || hash.length === 8).toBe(true);
        },
      ),
      { numRuns: 50 },
    );
  });
});
