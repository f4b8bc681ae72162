import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { RgbImage } from '../../src/data/image';
import { loadSample } from '../../src/data/load-sample';
import { readImage } from '../../src/platform/node/decode-image';
import { encodePng } from '../../src/platform/node/encode-png';
import { BadImageError } from '../../src/runtime/errors';
import { fixture, openGolden } from '../helpers/goldens';
import { readFixture } from './safetensors';

const folder = mkdtempSync(join(tmpdir(), 'mla-lp-load-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('images and masks are the reference’s, bit for bit', async () => {
  const golden = await openGolden('tiny/golden.safetensors');
  const images = await golden.read('images');
  const masks = await golden.read('masks');
  let positives = 0;
  for (let i = 0; i < 4; i++) {
    const files = { path: fixture(`tiny/image${i}.png`), mask: fixture(`tiny/mask${i}.png`) };
    const { pixels, mask } = await loadSample(files, 100, readImage);
    expect(pixels).toEqual(images.slice(i * 30_000, (i + 1) * 30_000));
    expect(Float32Array.from(mask!)).toEqual(masks.slice(i * 10_000, (i + 1) * 10_000));
    positives += mask!.reduce((a, b) => a + b, 0);
  }
  await golden.close();
  expect(positives).toBeGreaterThan(0);
});

test('a mask that is scaled down is Pillow’s', async () => {
  const file = fixture('images/mask.png');
  const expected = readFixture(new URL('../fixtures/images/expected.safetensors', import.meta.url)).get(
    'mask.png',
  )!;
  const { mask } = await loadSample({ path: file, mask: file }, 240, readImage);
  expect(mask).toEqual(Uint8Array.from(expected.data, (v) => (v > 127 ? 1 : 0)));
});

describe('made masks', () => {
  const flat = (width: number, height: number, rgb: readonly number[]): RgbImage => ({
    width,
    height,
    data: Uint8Array.from({ length: width * height * 3 }, (_, i) => rgb[i % 3]!),
  });
  const load = (mask: RgbImage, image = flat(200, 100, [1, 2, 3])) =>
    loadSample({ path: 'image', mask: 'mask' }, 4, async (path) => (path === 'mask' ? mask : image));

  test('any colour counts, by its brightest channel; over half is abnormal', async () => {
    expect((await load(flat(200, 100, [255, 0, 0]))).mask).toEqual(new Uint8Array(16).fill(1));
    expect((await load(flat(200, 100, [0, 0, 128]))).mask).toEqual(new Uint8Array(16).fill(1));
    expect((await load(flat(200, 100, [0, 0, 0]))).mask).toEqual(new Uint8Array(16));
    const half = flat(200, 100, [127, 0, 0]);
    half.data[0] = 255;
    expect([...(await load(half)).mask!].filter(Boolean)).toHaveLength(0);
  });

  test('labels of 1 instead of 255 are refused rather than lost', async () => {
    await expect(load(flat(200, 100, [1, 1, 1]))).rejects.toThrow('mask: its brightest pixel is 1 of 255');
    await expect(load(flat(200, 100, [0, 127, 0]))).rejects.toBeInstanceOf(BadImageError);
  });

  test('a mask may be scaled, up to rounding, but not turned or cut', async () => {
    for (const [width, height] of [
      [100, 50],
      [201, 100],
      [199, 100],
      [400, 199],
    ] as const) {
      expect((await load(flat(width, height, [0, 0, 0]))).mask).toHaveLength(16);
    }
    for (const [width, height] of [
      [100, 200],
      [203, 100],
      [197, 100],
      [200, 103],
    ] as const) {
      const work = load(flat(width, height, [0, 0, 0]));
      await expect(work).rejects.toBeInstanceOf(BadImageError);
      await expect(work).rejects.toThrow(
        `mask: the mask has ${width} x ${height} pixels, its image 200 x 100`,
      );
    }
  });
});

test('without a mask file there is no mask; broken files name themselves', async () => {
  const good = join(folder, 'good.png');
  const bad = join(folder, 'bad.png');
  writeFileSync(good, await encodePng({ width: 2, height: 2, data: new Uint8Array(12).fill(255) }));
  writeFileSync(bad, 'no image');
  const sample = await loadSample({ path: good }, 2, readImage);
  expect(sample).toEqual({ pixels: new Float32Array(12).fill(1) });
  await expect(loadSample({ path: good, mask: bad }, 2, readImage)).rejects.toThrow(bad);
});
