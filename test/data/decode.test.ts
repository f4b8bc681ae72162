import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { afterAll, describe, expect, test } from 'vitest';
import { readJpeg } from '../../src/data/formats/jpeg';
import { decodePng } from '../../src/data/formats/png';
import { defaultDecodeLimits } from '../../src/data/limits';
import { decodeImage, readImage } from '../../src/platform/node/decode-image';
import { BadImageError } from '../../src/runtime/errors';
import { makeBmp, makePng, makeTiff } from './make-files';

const fixture = new URL('../fixtures/images/rgb.png', import.meta.url).pathname;
const scan = () => sharp(fixture).extract({ left: 100, top: 90, width: 61, height: 47 });
const raw = async () => Uint8Array.from(await scan().raw().toBuffer());
const gray = (values: number[]) => values.flatMap((v) => [v, v, v]);
const pixels = async (bytes: Uint8Array) => [...(await decodeImage(bytes, 'x')).data];

describe('lossless formats give the pixels back', () => {
  test.each([
    ['png', (s: Sharp) => s.png()],
    ['interlaced png', (s: Sharp) => s.png({ progressive: true, adaptiveFiltering: true })],
    ['png with alpha', (s: Sharp) => s.ensureAlpha(0.3).png({ adaptiveFiltering: true })],
    ['webp', (s: Sharp) => s.webp({ lossless: true })],
    ['tiff, LZW', (s: Sharp) => s.tiff({ compression: 'lzw' })],
    [
      'tiff, deflate with predictor',
      (s: Sharp) => s.tiff({ compression: 'deflate', predictor: 'horizontal' }),
    ],
    ['tiff, tiles', (s: Sharp) => s.tiff({ compression: 'lzw', tile: true, tileWidth: 16, tileHeight: 16 })],
    ['BigTIFF', (s: Sharp) => s.tiff({ compression: 'none', bigtiff: true })],
    ['tiff with alpha', (s: Sharp) => s.ensureAlpha(0.3).tiff({ compression: 'none' })],
  ])('%s', async (_, encode) => {
    const image = await decodeImage(await encode(scan()).toBuffer(), 'scan');
    expect([image.width, image.height]).toEqual([61, 47]);
    expect(Buffer.from(image.data).equals(Buffer.from(await raw()))).toBe(true);
  });

  test('a palette PNG gives what libpng gives', async () => {
    const bytes = await scan().png({ palette: true, colours: 16, dither: 0 }).toBuffer();
    expect(Buffer.from((await decodeImage(bytes, 'p')).data)).toEqual(
      await sharp(bytes).removeAlpha().toColourspace('srgb').raw().toBuffer(),
    );
  });
});

describe('colours and rotation', () => {
  test('orientation and colour profiles are not applied', async () => {
    const jpeg = await scan().jpeg({ quality: 90 }).toBuffer();
    const turned = await sharp(jpeg)
      .keepMetadata()
      .withMetadata({ orientation: 6 })
      .jpeg({ quality: 100 })
      .toBuffer();
    expect((await sharp(turned).metadata()).orientation).toBe(6);
    const image = await decodeImage(turned, 'turned');
    expect([image.width, image.height]).toEqual([61, 47]);
    for (const encode of [
      (s: Sharp) => s.png(),
      (s: Sharp) => s.tiff({ compression: 'lzw' }),
      (s: Sharp) => s.webp({ lossless: true }),
    ]) {
      const p3 = await encode(scan().withIccProfile('p3')).toBuffer();
      const plain = await sharp(p3, { ignoreIcc: true }).removeAlpha().raw().toBuffer();
      // The profile does change the picture where it is applied.
      expect(plain.equals(await sharp(p3).removeAlpha().raw().toBuffer())).toBe(false);
      expect(Buffer.from((await decodeImage(p3, 'p3')).data).equals(plain)).toBe(true);
    }
  });

  test('a JPEG’s metadata never reaches the decoder', async () => {
    const exif = { IFD0: { Artist: 'CANARY' } };
    const jpeg = await scan().withExif(exif).keepIccProfile().jpeg().toBuffer();
    const trailing = Buffer.concat([jpeg, Buffer.from('CANARY after the end')]);
    expect(jpeg.includes('CANARY')).toBe(true);
    const { stripped } = readJpeg(Uint8Array.from(trailing), 'x', defaultDecodeLimits);
    expect(Buffer.from(stripped).includes('CANARY')).toBe(false);
    expect(stripped.length).toBeLessThan(jpeg.length);
  });

  test('CMYK: light = (255 - ink)(255 - black) / 255, no profile', async () => {
    expect(
      await pixels(
        makeTiff(1, 2, Uint8Array.of(10, 20, 30, 128, 0, 255, 60, 0), { samples: 4, photometric: 5 }),
      ),
    ).toEqual([122, 117, 112, 255, 0, 195]);
    const jpeg = await scan().toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer();
    const inks = await sharp(jpeg, { ignoreIcc: true })
      .pipelineColourspace('cmyk')
      .toColourspace('cmyk')
      .raw()
      .toBuffer();
    const image = await decodeImage(jpeg, 'cmyk');
    expect(image.data[4]).toBe(Math.round(((255 - inks[5]!) * (255 - inks[7]!)) / 255));
  });
});

describe('samples of every depth', () => {
  const words = Uint8Array.of(0x00, 0xff, 0x01, 0x00, 0x80, 0x7f, 0xff, 0xff);
  const swapped = words.map((_, i) => words[i ^ 1]!);

  test('16 bits keep their high byte', async () => {
    const rows = Uint8Array.of(0, ...words);
    expect(await pixels(makePng({ width: 4, height: 1, depth: 16, rows }))).toEqual(gray([0, 1, 128, 255]));
    expect(await pixels(makePng({ width: 2, height: 1, depth: 16, colour: 4, rows }))).toEqual(
      gray([0, 128]),
    );
    expect(await pixels(makePng({ width: 1, height: 1, depth: 16, colour: 6, rows }))).toEqual([0, 1, 128]);
    expect(await pixels(makeTiff(4, 1, swapped, { bits: 16 }))).toEqual(gray([0, 1, 128, 255]));
    expect(await pixels(makeTiff(1, 1, swapped.subarray(0, 6), { bits: 16, samples: 3 }))).toEqual([
      0, 1, 128,
    ]);
  });

  test.each([
    [1, [0b01010000], [0, 255, 0, 255]],
    [2, [0b00011011], [0, 85, 170, 255]],
    [4, [0x01, 0x8f], [0, 17, 136, 255]],
  ])('%i bits are stretched to 0..255', async (depth, packed, want) => {
    expect(await pixels(makePng({ width: 4, height: 1, depth, rows: Uint8Array.of(0, ...packed) }))).toEqual(
      gray(want),
    );
    expect(await pixels(makeTiff(4, 1, Uint8Array.from(packed), { bits: depth }))).toEqual(gray(want));
    const white = await pixels(makeTiff(4, 1, Uint8Array.from(packed), { bits: depth, photometric: 0 }));
    expect(white).toEqual(gray(want.map((v) => 255 - v)));
  });

  test('palettes of 1, 2 and 4 bits', async () => {
    const palette = Uint8Array.from({ length: 12 }, (_, i) => i * 20);
    const png = (depth: number, byte: number) =>
      pixels(makePng({ width: 2, height: 1, depth, colour: 3, palette, rows: Uint8Array.of(0, byte) }));
    expect(await png(1, 0b01000000)).toEqual([0, 20, 40, 60, 80, 100]);
    expect(await png(2, 0b11100000)).toEqual([180, 200, 220, 120, 140, 160]);
    expect(await png(4, 0x31)).toEqual([180, 200, 220, 60, 80, 100]);
  });

  test('every PNG filter, with and without the platform’s inflate', async () => {
    // Rows whose filters 0 to 4 all restore 10 20 30 / 40 50 60 in each row.
    const row = [10, 20, 30, 40, 50, 60];
    const rows = Uint8Array.of(
      ...[0, ...row],
      ...[1, 10, 20, 30, 30, 30, 30],
      ...[2, 0, 0, 0, 0, 0, 0],
      ...[3, 5, 10, 15, 15, 15, 15],
      ...[4, 0, 0, 0, 0, 0, 0],
    );
    const png = makePng({ width: 2, height: 5, colour: 2, rows });
    const want = Array(5).fill(row).flat();
    expect(await pixels(png)).toEqual(want);
    expect([...(await decodePng(Uint8Array.from(png), 'x', defaultDecodeLimits)).data]).toEqual(want);
  });
});

describe('bitmaps', () => {
  // Two rows of two pixels; 24-bit rows are padded to 8 bytes, blue first, bottom row first.
  const bgr = Uint8Array.of(1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0);
  const palette = Uint8Array.of(0, 0, 0, 0, 3, 2, 1, 0, 6, 5, 4, 0);
  const indexed = [4, 5, 6, 1, 2, 3, 0, 0, 0, 1, 2, 3];

  test('24 bits, bottom-up and top-down', async () => {
    expect(await pixels(makeBmp(2, 2, 24, bgr))).toEqual([9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4]);
    expect(await pixels(makeBmp(2, -2, 24, bgr))).toEqual([3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10]);
  });

  test.each([
    ['8 bits', 8, [0, 1, 0, 0, 2, 1, 0, 0], 0],
    ['4 bits', 4, [0x01, 0, 0, 0, 0x21, 0, 0, 0], 0],
    ['8 bits in runs', 8, [1, 0, 1, 1, 0, 0, 1, 2, 1, 1, 0, 1], 1],
    ['4 bits in runs', 4, [2, 0x01, 0, 0, 2, 0x21, 0, 1], 2],
    ['8 bits in runs with a jump', 8, [0, 2, 1, 0, 1, 1, 0, 0, 1, 2, 1, 1, 0, 1], 1],
  ])('palette, %s', async (_, bits, data, compression) => {
    const bytes = makeBmp(2, 2, bits, Uint8Array.from(data), { extra: palette, used: 3, compression });
    expect(await pixels(bytes)).toEqual(indexed);
  });

  test('literal runs are padded to two bytes', async () => {
    const runs = Uint8Array.of(0, 3, 1, 2, 0, 0, 1, 1, 0, 1);
    const bytes = makeBmp(4, 1, 8, runs, { extra: palette, used: 3, compression: 1 });
    expect(await pixels(bytes)).toEqual([1, 2, 3, 4, 5, 6, 0, 0, 0, 1, 2, 3]);
  });

  test('one bit, 16 bits, masks and 32 bits', async () => {
    const two = Uint8Array.of(0, 0, 0, 0, 255, 255, 255, 0);
    expect(await pixels(makeBmp(3, 1, 1, Uint8Array.of(0b01100000, 0, 0, 0), { extra: two }))).toEqual(
      gray([0, 255, 255]),
    );
    expect(await pixels(makeBmp(2, 1, 16, Uint8Array.of(0x00, 0x7c, 0x1f, 0x00)))).toEqual([
      255, 0, 0, 0, 0, 255,
    ]);
    const masks = new Uint8Array(new Uint32Array([0xf800, 0x7e0, 0x1f]).buffer);
    const options = { compression: 3, extra: masks };
    expect(await pixels(makeBmp(2, 1, 16, Uint8Array.of(0xe0, 0x07, 0x10, 0x00), options))).toEqual([
      0, 255, 0, 0, 0, 131,
    ]);
    expect(await pixels(makeBmp(1, 1, 32, Uint8Array.of(1, 2, 3, 77)))).toEqual([3, 2, 1]);
  });
});

describe('files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mla-lp-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('content decides, not the ending', async () => {
    const path = join(folder, 'really-a-png.jpg');
    writeFileSync(path, readFileSync(fixture));
    expect((await readImage(path)).width).toBe(417);
  });

  test('missing files, folders and files over the limit are named', async () => {
    await expect(readImage(join(folder, 'none.png'))).rejects.toThrow(
      /none\.png: the file cannot be read \(ENOENT\)/,
    );
    await expect(readImage(folder)).rejects.toThrow(/this is not a file/);
    await expect(readImage(fixture, { maxBytes: 1000 })).rejects.toThrow(/over the limit of 1000/);
    await expect(readImage(fixture, { maxPixels: 1000 })).rejects.toThrow(BadImageError);
  });
});
