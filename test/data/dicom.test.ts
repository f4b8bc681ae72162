/** DICOM to RGB: every transfer syntax against files that DCMTK, OpenJPEG and OpenJPH wrote, the LUTs against PS3.3's formulas. */
import { readFileSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { openVolume, type VolumeOptions } from '../../src/data/volume';
import { decodeImage, decoders } from '../../src/platform/node/decode-image';
import { BadImageError } from '../../src/runtime/errors';
import {
  CANARIES,
  compressed,
  type DicomElement,
  dicomFile,
  el,
  encapsulated,
  encode,
  type Picture,
  picture,
  plain,
  SYNTAX,
  words,
} from './make-dicom';

const file = (name: string) => readFileSync(new URL(`../fixtures/dicom/${name}`, import.meta.url));

async function slices(bytes: Uint8Array, options: VolumeOptions = {}): Promise<number[][]> {
  const volume = await openVolume(decoders, bytes, 'scan', options);
  const out: number[][] = [];
  for (let i = 0; i < volume.slices; i++) out.push([...(await volume.slice(i)).data]);
  return out;
}
/** The gray levels of a one-frame file. */
async function gray(bytes: Uint8Array, options: VolumeOptions = {}): Promise<number[]> {
  const [rgb] = await slices(bytes, options);
  return rgb!.filter((_, i) => i % 3 === 0);
}

describe('transfer syntaxes', () => {
  /** Windows one grey level a unit, over all of 12 bits: every bit of a stored value is seen. */
  const windows = Array.from({ length: 16 }, (_, k) => ({ center: 256 * k + 127.5, width: 255 }));

  test.each([
    'implicit',
    'big',
    'deflated',
    'rle',
    'lossless-sv1',
    'lossless-2',
    'lossless-3',
    'lossless-4',
    'lossless-5',
    'lossless-6',
    'lossless-7',
    'jpegls',
    'jpeg2000',
    'htj2k',
  ])('%s: 12 bits are exact', async (name) => {
    for (const window of windows) {
      expect(await slices(file(`${name}.dcm`), { window })).toEqual(
        await slices(file('gray12.dcm'), { window }),
      );
    }
  });

  test.each(['rle-rgb', 'lossless-rgb', 'jpegls-line', 'jpegls-sample', 'jpegls-none', 'jpeg2000-rgb'])(
    '%s: colour is exact',
    async (name) => {
      expect(await slices(file(`${name}.dcm`))).toEqual(await slices(file('rgb.dcm')));
    },
  );

  test.each(['rle-ct3', 'lossless-ct3', 'jpegls-ct3'])('%s: three signed frames are exact', async (name) => {
    for (const center of [-900, 0, 1000, 3900]) {
      const window = { center, width: 255 };
      const frames = await slices(file(`${name}.dcm`), { window });
      expect(frames).toHaveLength(3);
      expect(frames).toEqual(await slices(file('ct3.dcm'), { window }));
    }
  });

  test('JPEG-LS of long runs, which end at the edge and within a line', async () => {
    const [columns, rows] = [61, 40];
    const values = Array.from({ length: columns * rows }, (_, i) => {
      const [x, y] = [i % columns, Math.floor(i / columns)];
      return (x * x + y * 7) % 97 === 0 ? 500 : 100 + (y >> 3);
    });
    const raw = plain({ rows, columns, allocated: 16, stored: 12 }, words(values));
    for (const window of [
      { center: 100, width: 20 },
      { center: 500, width: 20 },
    ]) {
      expect(await slices(file('jpegls-flat.dcm'), { window })).toEqual(await slices(raw, { window }));
    }
    const colours = values.flatMap((v) => [v & 255, v === 500 ? 7 : 9, 3]);
    expect(await slices(file('jpegls-flat-rgb.dcm'))).toEqual([colours]);
  });

  test('signed JPEG 2000', async () => {
    const window = { center: 0, width: 500 };
    const [first] = await slices(file('ct3.dcm'), { window });
    expect(await slices(file('jpeg2000-signed.dcm'), { window })).toEqual([first]);
  });

  test.each([
    ['extended12', 1],
    ['baseline', 0],
    ['jpegls-near', 0],
    ['jpegls-near-rgb', 0],
  ])('%s as DCMTK decodes it', async (name, most) => {
    const [ours] = await slices(file(`${name}.dcm`));
    const [theirs] = await slices(file(`${name}-decoded.dcm`));
    const worst = ours!.reduce((m, v, i) => Math.max(m, Math.abs(v - theirs![i]!)), 0);
    expect(worst).toBeLessThanOrEqual(most);
  });

  test('12-bit JPEG at full depth: within one stored value of DCMTK', async () => {
    const window = { center: 2048, width: 255 };
    const ours = await gray(file('extended12.dcm'), { window });
    const theirs = await gray(file('extended12-decoded.dcm'), { window });
    expect(Math.max(...ours.map((v, i) => Math.abs(v - theirs[i]!)))).toBeLessThanOrEqual(1);
  });

  test('a JPEG without colour mark is what the photometric interpretation says', async () => {
    const raw = Uint8Array.from({ length: 16 * 16 * 3 }, (_, i) => [200, 40, 90][i % 3]!);
    const jpeg = await sharp(raw, { raw: { width: 16, height: 16, channels: 3 } })
      .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
      .toBuffer();
    // No JFIF and no Adobe segment: the frame begins with its tables.
    expect(jpeg.subarray(0, 4).toString('hex')).toBe('ffd8ffdb');
    const shape = { rows: 16, columns: 16, samples: 3 };
    const ybr = await slices(compressed(SYNTAX.jpeg, { ...shape, photometric: 'YBR_FULL' }, [jpeg]));
    const rgb = await slices(compressed(SYNTAX.jpeg, { ...shape, photometric: 'RGB' }, [jpeg]));
    const near = (have: number[], want: number[]) =>
      expect(Math.max(...want.map((v, i) => Math.abs(v - have[i]!)))).toBeLessThanOrEqual(3);
    near(ybr[0]!.slice(0, 3), [200, 40, 90]);
    // The same samples, taken for red, green and blue.
    near(rgb[0]!.slice(0, 3), [94, 126, 204]);
  });

  test('8-bit gray JPEG meets the window as stored values', async () => {
    const window = { center: 100, width: 20 };
    const ours = await gray(file('baseline-gray.dcm'), { window });
    const theirs = await gray(file('baseline-gray-decoded.dcm'), { window });
    // One stored value is 255 / 20 here.
    expect(Math.max(...ours.map((v, i) => Math.abs(v - theirs[i]!)))).toBeLessThanOrEqual(13);
    expect(new Set(ours).size).toBeGreaterThan(10);
  });
});

describe('stored values', () => {
  test('bits that are not stored do not count; the high bit says where those that are lie', async () => {
    // 4 of 16 bits, from bit 6 on; noise elsewhere.
    const values = [0, 5, 10, 15, 3, 12];
    const pixels = words(values.map((v, i) => (v << 6) | (i % 2 === 0 ? 0xfc3f : 0)));
    const want = values.map((v) => v * 17);
    expect(await gray(plain({ allocated: 16, stored: 4, highBit: 9 }, pixels))).toEqual(want);
    expect(await gray(plain({ allocated: 16, stored: 4, highBit: 9, signed: true }, pixels))).toEqual(
      values.map((v) => ((v >= 8 ? v - 16 : v) + 6) * (255 / 11)).map(Math.round),
    );
  });

  test('32 bits, 1 bit, odd frames of 1 bit', async () => {
    const wide = Buffer.alloc(24);
    [0, 1e9, 2e9, 3e9, 4e9, 4e9].forEach((v, i) => {
      wide.writeUInt32LE(v, 4 * i);
    });
    expect(await gray(plain({ allocated: 32 }, wide))).toEqual([0, 64, 128, 191, 255, 255]);
    // Two frames of five pixels share the first and second byte.
    const bits = Uint8Array.of(0b01000101, 0b00000011);
    const frames = await slices(plain({ rows: 1, columns: 5, frames: 2, allocated: 1 }, bits));
    expect(frames.map((f) => f.filter((_, i) => i % 3 === 0))).toEqual([
      [255, 0, 255, 0, 0],
      [0, 255, 0, 255, 255],
    ]);
  });

  test('padding is no part of the range', async () => {
    const pixels = words([-2000, 0, 100, 200, -1990, 50]);
    const padding = [el(0x00280120, 'SS', [-2000]), el(0x00280121, 'SS', [-1900])];
    const shape = { allocated: 16, signed: true };
    expect(await gray(plain(shape, pixels, padding))).toEqual([0, 0, 128, 255, 0, 64]);
  });

  test('without a window all frames share one range', async () => {
    const frames = await slices(plain({ rows: 1, columns: 2, frames: 2 }, Uint8Array.of(0, 100, 50, 200)));
    expect(frames.map((f) => [f[0], f[3]])).toEqual([
      [0, 128],
      [64, 255],
    ]);
  });

  test('MONOCHROME1 is inverted after the window', async () => {
    const shape = { photometric: 'MONOCHROME1' };
    expect(await gray(plain(shape, Uint8Array.of(0, 51, 102, 153, 204, 255)))).toEqual([
      255, 204, 153, 102, 51, 0,
    ]);
  });
});

describe('windows (PS3.3, C.11.2.1.2 and C.11.2.1.3)', () => {
  const values = [-100, -1, 0, 20, 40, 41, 79, 80, 81, 300];
  const scan = (kind?: string, center = '40\\500', width = '80\\2000') =>
    plain({ rows: 1, columns: values.length, allocated: 16 }, words(values.map((v) => v + 1000)), [
      el(0x00281050, 'DS', center),
      el(0x00281051, 'DS', width),
      el(0x00281052, 'DS', '-2000'),
      el(0x00281053, 'DS', '2'),
      ...(kind ? [el(0x00281056, 'CS', kind)] : []),
    ]);
  // Rescaled: twice the values.
  const x = values.map((v) => 2 * v);

  test('LINEAR is the default, and the first of several windows', async () => {
    const want = x.map((v) => {
      if (v <= 40 - 0.5 - 79 / 2) return 0;
      if (v > 40 - 0.5 + 79 / 2) return 255;
      return Math.round(((v - 39.5) / 79 + 0.5) * 255);
    });
    expect(await gray(scan())).toEqual(want);
    expect(want.slice(2, 5)).toEqual([0, 129, 255]);
  });

  test('LINEAR_EXACT, which --window means too', async () => {
    const want = x.map((v) => Math.round(Math.min(Math.max((v - 40) / 80 + 0.5, 0), 1) * 255));
    expect(await gray(scan('LINEAR_EXACT'))).toEqual(want);
    expect(await gray(scan('SIGMOID'), { window: { center: 40, width: 80 } })).toEqual(want);
  });

  test('SIGMOID', async () => {
    expect(await gray(scan('SIGMOID'))).toEqual(
      x.map((v) => Math.round(255 / (1 + Math.exp((-4 * (v - 40)) / 80)))),
    );
  });

  test('a width of 1 is a threshold, of 0 an error with a way out', async () => {
    expect(await gray(scan('LINEAR', '40', '1'))).toEqual(x.map((v) => (v > 39.5 ? 255 : 0)));
    await expect(gray(scan('LINEAR', '40', '0'))).rejects.toThrow(/window 0 wide.*--window/);
    await expect(gray(scan('NEAR', '40', '10'))).rejects.toThrow(/function NEAR does not exist/);
    const window = { center: 40, width: 80 };
    expect(await gray(scan('LINEAR', '40', '0'), { window })).toEqual(await gray(scan(), { window }));
  });

  test('modality and VOI lookup tables', async () => {
    const lut = (sequence: number, descriptor: number[], data: Uint8Array) =>
      el(sequence, 'SQ', [[el(0x00283002, 'US', descriptor), el(0x00283006, 'OW', data)]]);
    const extra = [
      // 1 -> 10, 2 -> 20, 3 -> 30; below and above the ends.
      lut(0x00283000, [3, 1, 16], words([10, 20, 30])),
      lut(0x00283010, [21, 10, 12], words(Array.from({ length: 21 }, (_, i) => (i === 10 ? 2048 : i * 200)))),
    ];
    const levels = [0, 1, 2, 3, 4, 200].map(
      (v) => [10, 10, 20, 30, 30, 30][[0, 1, 2, 3, 4, 200].indexOf(v)]!,
    );
    const want = levels.map((v) => Math.round(((v === 20 ? 2048 : (v - 10) * 200) / 4095) * 255));
    expect(await gray(plain({}, Uint8Array.of(0, 1, 2, 3, 4, 200), extra))).toEqual(want);
  });

  test.each([false, true])(
    'enhanced objects: each frame its own rescaling (delimited: %s)',
    async (delimited) => {
      const macro = (intercept: string) => [
        el(0x00289145, 'SQ', [[el(0x00281052, 'DS', intercept), el(0x00281053, 'DS', '1')]]),
      ];
      const elements = picture({ rows: 1, columns: 1, frames: 2 }, Uint8Array.of(10, 10), [
        el(0x52009229, 'SQ', [
          [el(0x00289132, 'SQ', [[el(0x00281050, 'DS', '50.5'), el(0x00281051, 'DS', '101')]])],
        ]),
        el(0x52009230, 'SQ', [macro('1'), macro('40')]),
      ]);
      const bytes = dicomFile(SYNTAX.explicit, encode(elements, { delimited }));
      const frames = await slices(bytes);
      expect(frames.map((f) => f[0])).toEqual([28, 128]);
    },
  );
});

describe('colour', () => {
  test('by plane', async () => {
    const planes = Uint8Array.of(1, 2, 3, 4, 5, 6);
    const shape = { rows: 1, columns: 2, samples: 3, photometric: 'RGB', planar: 1 };
    expect(await slices(plain(shape, planes))).toEqual([[1, 3, 5, 2, 4, 6]]);
  });

  test('16 bits keep their high bits', async () => {
    const shape = { rows: 1, columns: 1, samples: 3, photometric: 'RGB', allocated: 16, stored: 12 };
    expect(await slices(plain(shape, words([4095, 2048, 0])))).toEqual([[255, 128, 0]]);
  });

  test('YBR_FULL and YBR_FULL_422 (PS3.3, C.7.6.3.1.2)', async () => {
    // Red, and its inverse by hand: 0.299 * 255, -0.1687 * 255 + 128, 0.5 * 255 + 128.
    const [y, b, r] = [76, 85, 255];
    const shape = { rows: 1, columns: 2, samples: 3 };
    const full = plain({ ...shape, photometric: 'YBR_FULL' }, Uint8Array.of(y, b, r, 128, 128, 128));
    expect(await slices(full)).toEqual([[254, 0, 0, 128, 128, 128]]);
    const half = plain({ ...shape, photometric: 'YBR_FULL_422' }, Uint8Array.of(y, 128, b, r));
    const [[red, ...rest]] = (await slices(half)) as [number[]];
    expect(red).toBe(254);
    expect(rest).toEqual([0, 0, 255, 52, 52]);
  });

  const palette = (bits: number, data: (c: number) => Uint8Array, count = 3, first = 10) =>
    [0, 1, 2].flatMap((c) => [
      el(0x00281101 + c, 'US', [count, first, bits]),
      el(0x00281201 + c, 'OW', data(c)),
    ]);

  test('palettes of 16 and 8 bits; indices beyond the ends take the end colours', async () => {
    const shape = { rows: 1, columns: 5, photometric: 'PALETTE COLOR' };
    const pixels = Uint8Array.of(0, 10, 11, 12, 255);
    const want = [0, 0, 0, 0, 0, 0, 100, 0, 0, 255, 255, 255, 255, 255, 255];
    const deep = palette(16, (c) => words([0, c === 0 ? 25_700 : 0, 65_535]));
    expect(await slices(plain(shape, pixels, deep))).toEqual([want]);
    const flat = palette(8, (c) => Uint8Array.of(0, c === 0 ? 100 : 0, 255, 0));
    expect(await slices(plain(shape, pixels, flat))).toEqual([want]);
  });

  test('a palette that is short or missing', async () => {
    const shape = { rows: 1, columns: 1, photometric: 'PALETTE COLOR' };
    await expect(slices(plain(shape, Uint8Array.of(1)))).rejects.toThrow(/lookup table .* missing/);
    const short = palette(16, () => words([1, 2]));
    await expect(slices(plain(shape, Uint8Array.of(1), short))).rejects.toThrow(/shorter than it says/);
  });
});

describe('frames', () => {
  const rle = (value: number) => {
    const header = Buffer.alloc(64);
    header.writeUInt32LE(1, 0);
    header.writeUInt32LE(64, 4);
    // Six pixels in one run.
    return Buffer.concat([header, Uint8Array.of(251, value)]);
  };
  const shape: Picture = { frames: 2 };
  const frameLength = 66 + 8;
  const firsts = async (bytes: Uint8Array) =>
    (await slices(bytes, { window: { center: 127.5, width: 255 } })).map((f) => f[0]);

  test('with and without an offset table, and an extended one', async () => {
    const frames = [rle(10), rle(200)];
    expect(await firsts(compressed(SYNTAX.rle, shape, frames))).toEqual([10, 200]);
    expect(await firsts(compressed(SYNTAX.rle, shape, frames, { table: [0, frameLength] }))).toEqual([
      10, 200,
    ]);
    const extended = Buffer.alloc(16);
    extended.writeBigUInt64LE(BigInt(frameLength), 8);
    const extra = [el(0x7fe00001, 'OV', extended)];
    const big = compressed(SYNTAX.rle, shape, frames);
    expect(big.includes('OV')).toBe(false);
    expect(
      await firsts(compressed(SYNTAX.rle, shape, frames, { extra: [{ ...extra[0]!, vr: 'OB' }] })),
    ).toEqual([10, 200]);
  });

  test('a frame in several fragments', async () => {
    const split = [rle(10).subarray(0, 40), rle(10).subarray(40), rle(200)];
    const table = [0, 40 + 8 + 26 + 8];
    expect(await firsts(compressed(SYNTAX.rle, shape, split, { table }))).toEqual([10, 200]);
    expect(await firsts(compressed(SYNTAX.rle, {}, split.slice(0, 2)))).toEqual([10]);
  });

  test.each<[string, number[]]>([
    ['between fragments', [0, 30]],
    ['past the end', [0, 4e9]],
    ['backwards', [frameLength, 0]],
    ['too short', [0]],
    ['too long', [0, frameLength, frameLength]],
  ])('an offset table that lies: %s', async (_, table) => {
    await expect(slices(compressed(SYNTAX.rle, shape, [rle(1), rle(2)], { table }))).rejects.toThrow(
      /offset table/,
    );
  });

  test('fragments that cannot be told apart', async () => {
    await expect(slices(compressed(SYNTAX.rle, shape, [rle(1), rle(2), rle(3)]))).rejects.toThrow(
      /2 frames cannot be told apart in 3 fragments/,
    );
  });

  test('several frames are no picture; one is', async () => {
    await expect(decodeImage(file('ct3.dcm'), 'scan')).rejects.toThrow(
      /scan: this is a volume of 3 slices, not one picture\. .*mla-lp detect/,
    );
    const image = await decodeImage(file('gray12.dcm'), 'scan');
    expect([image.width, image.height]).toEqual([33, 21]);
  });
});

describe('masks', () => {
  test('whatever is over zero', async () => {
    const bytes = plain({ photometric: 'MONOCHROME1' }, Uint8Array.of(0, 1, 2, 0, 0, 255));
    expect(await gray(bytes, { mask: true })).toEqual([0, 255, 255, 0, 0, 255]);
  });
});

describe('damage', () => {
  const six = new Uint8Array(6);
  const change = (shape: Picture, extra: DicomElement[] = []) => plain(shape, six, extra);
  const nested = () => {
    const deep = 10_000;
    const open = Buffer.from(
      '0800151153510000fffffffffeff00e0ffffffff'.replace('0800151153510000', '080015115351' + '0000'),
      'hex',
    );
    return dicomFile(SYNTAX.explicit, Buffer.concat(Array.from({ length: deep }, () => open)));
  };
  const good = plain({}, six);
  const without = (tag: number) =>
    dicomFile(SYNTAX.explicit, encode(picture({}, six).filter((element) => element.tag !== tag)));

  const damage: Record<string, [Uint8Array, RegExp]> = {
    'no DICM': [good.subarray(132), /no image format known here/],
    'only the mark': [good.subarray(0, 132), /names no transfer syntax/],
    'no transfer syntax': [
      Buffer.concat([good.subarray(0, 132), encode(picture({}, six))]),
      /names no transfer/,
    ],
    'unknown syntax': [
      dicomFile('1.2.840.10008.1.2.4.100', encode(picture({}, six))),
      /1\.2\.4\.100 is not supp/,
    ],
    'syntax that is text': [dicomFile('CANARY^NAME', encode(picture({}, six))), /syntax \?+ is not/],
    'deflate bomb': [
      dicomFile(SYNTAX.deflated, deflateRawSync(Buffer.alloc(80 * 2 ** 20))),
      /unpacks to over/,
    ],
    'deflate stream cut': [
      dicomFile(SYNTAX.deflated, deflateRawSync(encode(picture({}, six))).subarray(0, 60)),
      /damaged or cut off/,
    ],
    'ten thousand nested sequences': [nested(), /nested over 32 deep/],
    'length past the end': [good.subarray(0, good.length - 4), /\(7fe0,0010\) runs past the end/],
    'cut inside an element': [good.subarray(0, good.length - 12), /ends inside an element/],
    'element twice': [
      dicomFile(
        SYNTAX.explicit,
        encode([el(0x00280010, 'US', [2]), ...picture({}, six)].sort((a, b) => a.tag - b.tag)),
      ),
      /\(0028,0010\) stands there twice/,
    ],
    'no value type': [
      dicomFile(SYNTAX.explicit, encode(picture({}, six), { explicit: false })),
      /no value type/,
    ],
    delimiter: [dicomFile(SYNTAX.explicit, Buffer.from('feff0de000000000', 'hex')), /delimiter/],
    huge: [change({ rows: 65_535, columns: 65_535 }), /over the limit of 100 megapixels/],
    'no rows': [change({ rows: 0 }), /3 x 0 pixels/],
    'rows missing': [without(0x00280010), /lacks Rows/],
    'no pixel data': [without(0x7fe00010), /holds no pixel data/],
    'fewer bytes than frames': [change({ frames: 3 }), /3 frames take 18 bytes, the file has 6/],
    'a million frames': [change({ frames: 1e6 }), /claims 1000000 frames/],
    'no frames': [change({ frames: 0 }), /claims 0 frames/],
    'half a frame': [change({}, [el(0x00280008, 'IS', '1.5')]), /claims 1.5 frames/],
    'RLE shorter than its header': [
      compressed(SYNTAX.rle, {}, [new Uint8Array(62)]),
      /RLE .* shorter than its header/,
    ],
    'RLE without segments': [compressed(SYNTAX.rle, {}, [new Uint8Array(64)]), /0 segments where 1 belong/],
    'RLE segment outside': [compressed(SYNTAX.rle, {}, [rleWith([1, 900])]), /segment lies outside/],
    'RLE too short': [
      compressed(SYNTAX.rle, {}, [Buffer.concat([rleWith([1, 64]), Uint8Array.of(252, 1)])]),
      /segment 1 ends too early/,
    ],
    'RLE literal past the end': [
      compressed(SYNTAX.rle, {}, [Buffer.concat([rleWith([1, 64]), Uint8Array.of(5, 1, 2, 3)])]),
      /segment 1 ends too early/,
    ],
    'bits stored over allocated': [change({ stored: 12 }), /12 bits stored in 8/],
    'high bit too low': [change({ stored: 8, highBit: 3 }), /high bit 3 with 8 bits stored/],
    'high bit too high': [change({ stored: 4, highBit: 9 }), /high bit 9/],
    'bits that do not exist': [change({ allocated: 12, stored: 12 }), /12 bits allocated/],
    representation: [change({}, [el(0x00280103, 'US', [7])]), /representation 7/],
    'photometric mismatch': [change({ photometric: 'RGB' }), /RGB with 1 samples/],
    'gray in three samples': [change({ rows: 1, columns: 2, samples: 3 }), /MONOCHROME2 with 3 samples/],
    'unknown photometric': [change({ photometric: 'canary<b>' }), /\?+<?.* is not supported/],
    'planar configuration': [
      change({ rows: 1, columns: 2, samples: 3, photometric: 'RGB', planar: 4 }),
      /planar configuration 4/,
    ],
    'slope NaN': [change({}, [el(0x00281053, 'DS', 'NaN')]), /\(0028,1053\).* not a number/],
    'slope text': [change({}, [el(0x00281053, 'DS', 'CANARY')]), /\(0028,1053\).* not a number/],
    'slope 0': [change({}, [el(0x00281053, 'DS', '0')]), /slope is 0/],
    'window 0': [change({}, [el(0x00281050, 'DS', '0'), el(0x00281051, 'DS', '0')]), /window 0 wide/],
    'compressed, says plain': [
      dicomFile(SYNTAX.explicit, Buffer.concat([encode(picture({}, six).slice(0, -1)), encapsulated([six])])),
      /is compressed, though/,
    ],
    'plain, says compressed': [dicomFile(SYNTAX.rle, encode(picture({}, six))), /is not compressed, though/],
    'no end of the fragments': [
      compressed(SYNTAX.rle, {}, [rleWith([1, 64])]).subarray(0, -8),
      /ends without its end mark/,
    ],
    'no fragments': [compressed(SYNTAX.rle, {}, []), /pixel data is empty/],
    'JPEG of another size': [
      compressed(SYNTAX.lossless, { rows: 20, columns: 33, allocated: 16 }, [
        stream('lossless-sv1.dcm', 'ffd8'),
      ]),
      /header says 33 x 20 .* JPEG inside 33 x 21/,
    ],
    'JPEG-LS of another size': [
      compressed(SYNTAX.jpegLs, { rows: 20, columns: 33, allocated: 16 }, [stream('jpegls.dcm', 'ffd8')]),
      /header says 33 x 20 .* JPEG-LS inside 33 x 21/,
    ],
    'JPEG 2000 of another size': [
      compressed(SYNTAX.j2k, { rows: 20, columns: 33, allocated: 16 }, [stream('jpeg2000.dcm', 'ff4f')]),
      /picture inside has 33 x 21/,
    ],
    'lossless JPEG cut off': [
      compressed(SYNTAX.lossless, { rows: 21, columns: 33, allocated: 16 }, [
        stream('lossless-sv1.dcm', 'ffd8').subarray(0, 700),
      ]),
      /cut off or damaged/,
    ],
    'JPEG-LS cut off': [
      compressed(SYNTAX.jpegLs, { rows: 21, columns: 33, allocated: 16 }, [
        stream('jpegls.dcm', 'ffd8').subarray(0, 500),
      ]),
      /JPEG-LS inside .*cut off/,
    ],
    'JPEG 2000 cut off': [
      compressed(SYNTAX.j2k, { rows: 21, columns: 33, allocated: 16 }, [
        stream('jpeg2000.dcm', 'ff4f').subarray(0, 400),
      ]),
      /JPEG 2000 inside/,
    ],
    'no code stream': [compressed(SYNTAX.j2k, {}, [new Uint8Array(100)]), /JPEG 2000 inside has no header/],
  };

  test.each(Object.entries(damage))('%s', async (_, [bytes, message]) => {
    const start = performance.now();
    const error = await decodeImage(bytes, 'scan').then(
      () => new Error('it was decoded'),
      (e: Error) => e,
    );
    expect(error.message).toMatch(message);
    expect(error).toBeInstanceOf(BadImageError);
    expect(error.message).toMatch(/^scan: .+\. [A-Z].+\.$/);
    expect(error.message.toUpperCase()).not.toContain('CANARY');
    // Against hanging; a busy machine may take its time.
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  test('no group length, padding after the pixels, an empty and a full preamble', async () => {
    const trailing = Buffer.concat([
      good,
      encode([el(0xfffcfffc, 'OB', new Uint8Array(9))]),
      Buffer.alloc(3),
    ]);
    expect((await openVolume(decoders, trailing, 'scan')).warnings).toEqual([]);
    const program = Buffer.alloc(128, 'MZ');
    const risky = dicomFile(SYNTAX.explicit, encode(picture({}, six)), program);
    const { warnings } = await openVolume(decoders, risky, 'scan');
    expect(warnings).toEqual([expect.stringMatching(/128 bytes .* may hide another file/)]);
    const tiff = dicomFile(SYNTAX.explicit, encode(picture({}, six)), Buffer.alloc(128, 'II*\0'));
    expect(await decodeImage(tiff, 'scan')).toMatchObject({ width: 3, height: 2 });
  });

  test('unknown sequences are stepped over, whatever is in them', async () => {
    const inner = picture({}, six);
    for (const delimited of [false, true]) {
      const icon = el(0x00880200, 'SQ', [inner, inner]);
      const bytes = dicomFile(
        SYNTAX.explicit,
        encode(picture({}, Uint8Array.of(0, 1, 2, 3, 4, 5), [icon]), { delimited }),
      );
      expect(await gray(bytes)).toEqual([0, 51, 102, 153, 204, 255]);
    }
  });

  test('a codec that is not installed is named', async () => {
    const without = { ...decoders, jpeg2000: () => Promise.reject(new Error('Cannot find package')) };
    const volume = await openVolume(without, file('jpeg2000.dcm'), 'scan');
    await expect(volume.slice(0)).rejects.toThrow(/npm install @cornerstonejs\/codec-openjpeg/);
    const never = { codec: decoders.codec };
    await expect((await openVolume(never, file('htj2k.dcm'), 'scan')).slice(0)).rejects.toThrow(
      /JPEG 2000.*here.*useOpenJpeg/,
    );
  });
});

test('nothing of the patient comes out', async () => {
  const volume = await openVolume(decoders, file('ct3.dcm'), 'scan');
  const seen = JSON.stringify({ ...volume, labels: [0, 1, 2].map((i) => volume.label(i)) });
  for (const canary of CANARIES) {
    expect(file('ct3.dcm').includes(canary)).toBe(true);
    expect(seen).not.toContain(canary);
  }
});

function rleWith([segments, offset]: [number, number]): Buffer {
  const header = Buffer.alloc(64);
  header.writeUInt32LE(segments, 0);
  header.writeUInt32LE(offset, 4);
  return header;
}

/** The code stream inside a fixture. */
function stream(name: string, start: string): Buffer {
  const bytes = file(name);
  return bytes.subarray(bytes.indexOf(Buffer.from(`${start}ff`, 'hex')));
}
