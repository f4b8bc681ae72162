import { deflateSync, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { decodePng } from '../../src/data/formats/png';
import { defaultDecodeLimits } from '../../src/data/limits';
import { decodeImage } from '../../src/platform/node/decode-image';
import { crc32 } from '../../src/runtime/crc32';
import { BadImageError } from '../../src/runtime/errors';
import { makeBmp, makePng, makeTiff, pngChunk, type TiffTag } from './make-files';

const rows = (width: number, height: number) => new Uint8Array((width + 1) * height);
const png = makePng({ width: 8, height: 8, rows: rows(8, 8) });
const pixels = new Uint8Array(64);
const tiff = (tags: TiffTag[], next = 0) => makeTiff(8, 8, pixels, { tags, next });
const hex = (text: string) => Buffer.from(text.replace(/\s/g, ''), 'hex');
const noise = (width: number, height: number) =>
  sharp({
    create: {
      width,
      height,
      channels: 3,
      background: 'gray',
      noise: { type: 'gaussian', mean: 128, sigma: 40 },
    },
  });

/** Changes bytes and repairs the checksum of the chunk they lie in, so that only the lie is left to find. */
function pngWith(edit: (header: Buffer) => void): Buffer {
  const out = Buffer.from(png);
  edit(out);
  return Buffer.concat([out.subarray(0, 8), pngChunk('IHDR', out.subarray(16, 29)), out.subarray(33)]);
}

async function mustFail(bytes: Uint8Array, message: RegExp): Promise<void> {
  const start = performance.now();
  const error = await decodeImage(bytes, 'some/file.img').then(
    () => new Error('it was decoded'),
    (e: unknown) => e as Error,
  );
  expect(error.message).toMatch(message);
  expect(error).toBeInstanceOf(BadImageError);
  expect(error.message).toMatch(/^some\/file\.img: .+\. [A-Z].+\.$/);
  // Against hanging; a busy machine may take its time.
  expect(performance.now() - start).toBeLessThan(20_000);
}

describe('damaged PNG', () => {
  const damage: Record<string, [Buffer, RegExp]> = {
    'wrong checksum': [flip(png, png.length - 1), /checksum of chunk IEND/],
    'checksum of the pixels': [flip(png, 45), /checksum of chunk IDAT/],
    'zero width': [pngWith((b) => b.writeUInt32BE(0, 16)), /0 x 8 pixels/],
    '2^31 - 1 rows': [pngWith((b) => b.writeUInt32BE(2 ** 31 - 1, 20)), /over the limit/],
    'truncated pixels': [makePng({ width: 8, height: 8, rows: rows(8, 7) }), /fewer rows/],
    'last row cut': [makePng({ width: 8, height: 8, rows: rows(8, 8).subarray(1) }), /fewer rows/],
    'cut zlib stream': [withData(deflateSync(rows(8, 8)).subarray(0, 6)), /pixel data is damaged/],
    'no zlib stream': [withData(Uint8Array.of(1, 2, 3, 4)), /pixel data is damaged/],
    'too many pixels': [makePng({ width: 8, height: 8, rows: rows(8, 9) }), /more pixel data/],
    'a million times too many': [
      makePng({ width: 8, height: 8, rows: new Uint8Array(72e6) }),
      /more pixel data/,
    ],
    'no palette': [makePng({ width: 8, height: 8, colour: 3, rows: rows(8, 8) }), /palette is missing/],
    'index outside the palette': [
      makePng({ width: 8, height: 8, colour: 3, palette: new Uint8Array(6), rows: rows(8, 8).fill(2, 70) }),
      /outside the palette of 2/,
    ],
    'depth that does not exist': [pngWith((b) => b.writeUInt8(3, 24)), /3 bits does not exist/],
    'RGB with 4 bits': [
      makePng({ width: 8, height: 8, colour: 2, depth: 4, rows: rows(8, 8) }),
      /does not exist/,
    ],
    'unknown filter': [makePng({ width: 8, height: 8, rows: rows(8, 8).fill(5, 0, 1) }), /unknown filter/],
    'unknown interlacing': [pngWith((b) => b.writeUInt8(2, 28)), /does not exist/],
    'chunk beyond the file': [setU32(png, 33, 1e9), /IDAT at byte 33 runs past/],
    'end chunk missing': [png.subarray(0, png.length - 12), /without its end chunk/],
    'pixels missing': [
      Buffer.concat([png.subarray(0, 33), pngChunk('IEND', new Uint8Array(0))]),
      /no pixel data/,
    ],
    'unknown critical chunk': [
      makePng({ width: 8, height: 8, rows: rows(8, 8), extra: [pngChunk('ABCD', new Uint8Array(1))] }),
      /critical chunk ABCD/,
    ],
    'only the signature': [png.subarray(0, 8), /without its end chunk/],
  };
  test.each(Object.entries(damage))('%s', (_, [bytes, message]) => mustFail(bytes, message));

  test('a million pixel chunks, empty or of one byte', async () => {
    const stored = deflateSync(rows(700, 700), { level: 0 });
    const empty = pngChunk('IDAT', new Uint8Array(0));
    const bytes = Array.from(stored, (b) => pngChunk('IDAT', Uint8Array.of(b)));
    const many = [Buffer.alloc(empty.length * 600_000, empty), ...bytes];
    const header = makePng({ width: 700, height: 700, rows: rows(700, 700) }).subarray(0, 33);
    const file = Buffer.concat([header, ...many, pngChunk('IEND', new Uint8Array(0))]);
    const start = performance.now();
    const image = await decodeImage(file, 'many');
    // Against hanging; a busy machine may take its time.
    expect(performance.now() - start).toBeLessThan(20_000);
    expect(image.data.length).toBe(700 * 700 * 3);
  });

  test('the inflater gets the chunks as one', async () => {
    const z = deflateSync(rows(8, 8).fill(7, 1, 9));
    const parts = [z.subarray(0, 0), z.subarray(0, 3), z.subarray(3, 3), z.subarray(3, 9), z.subarray(9)];
    const chunks = parts.map((part) => pngChunk('IDAT', part));
    const file = Buffer.concat([png.subarray(0, 33), ...chunks, pngChunk('IEND', new Uint8Array(0))]);
    const given: Uint8Array[] = [];
    const image = await decodePng(
      Uint8Array.from(file),
      'parts',
      defaultDecodeLimits,
      async function* (data) {
        given.push(data);
        yield inflateSync(data);
      },
    );
    expect(given).toEqual([Uint8Array.from(z)]);
    expect(image.data.subarray(0, 24)).toEqual(new Uint8Array(24).fill(7));
  });

  test('only empty pixel chunks', () => mustFail(withData(new Uint8Array(0)), /no pixel data/));

  test('packed text and profiles are never unpacked', async () => {
    const bomb = deflateSync(new Uint8Array(64 * 2 ** 20));
    const named = Buffer.concat([Buffer.from('name\0\0', 'latin1'), bomb]);
    const extra = [pngChunk('iCCP', named), pngChunk('zTXt', named)];
    const before = process.memoryUsage().rss;
    await decodeImage(makePng({ width: 8, height: 8, rows: rows(8, 8), extra }), 'bomb');
    expect(process.memoryUsage().rss - before).toBeLessThan(32 * 2 ** 20);
  });
});

describe('damaged JPEG', () => {
  let jpeg: Buffer;
  beforeAll(async () => {
    jpeg = await noise(64, 48).jpeg({ quality: 90 }).toBuffer();
  });
  const at = (marker: number) => jpeg.indexOf(Buffer.of(0xff, marker));

  test('only the start marker', () => mustFail(hex('ffd8'), /without its end marker/));
  test('start and end', () => mustFail(hex('ffd8 ffd9'), /holds no picture/));
  test('segment that runs out (jpeg-js issue 105)', () =>
    mustFail(hex('ffd8ffc1f151d800ff51d800ffdaffde'), /runs past the end/));
  test('65,500 x 65,500', () => {
    const big = Buffer.from(jpeg);
    big.writeUInt16BE(65_500, at(0xc0) + 5);
    big.writeUInt16BE(65_500, at(0xc0) + 7);
    return mustFail(big, /65500 x 65500 pixels are over the limit/);
  });
  test('no rows', () => {
    const flat = Buffer.from(jpeg);
    flat.writeUInt16BE(0, at(0xc0) + 5);
    return mustFail(flat, /64 x 0 pixels/);
  });
  test('Huffman table with a category over 15', () => {
    const table = Buffer.from(jpeg);
    table.fill(0x1f, at(0xc4) + 21, at(0xc4) + 2 + table.readUInt16BE(at(0xc4) + 2));
    return mustFail(table, /cannot be decoded/);
  });
  test('scan before the frame header', () => {
    const frame = at(0xc0);
    const frameEnd = frame + 2 + jpeg.readUInt16BE(frame + 2);
    return mustFail(
      Buffer.concat([jpeg.subarray(0, frame), jpeg.subarray(frameEnd)]),
      /scan before its frame/,
    );
  });
  test('lossless mode', () => mustFail(setByte(jpeg, at(0xc0) + 1, 0xc3), /mode 0xffc3/));
  test('12 bits a sample', () => mustFail(setByte(jpeg, at(0xc0) + 4, 12), /12 bits/));
  test('10,000 scans', () => {
    const scan = jpeg.subarray(at(0xda), jpeg.length - 2);
    const many = Buffer.concat([jpeg.subarray(0, at(0xda)), ...Array(10_000).fill(scan), hex('ffd9')]);
    return mustFail(many, /over 100 scans/);
  });
  test('five million empty tables', () => {
    const tables = Buffer.alloc(20_000_000, hex('ffdb0002'));
    return mustFail(Buffer.concat([jpeg.subarray(0, 2), tables, jpeg.subarray(2)]), /over 10000 segments/);
  });
  test('cut off at every length', async () => {
    for (let n = 2; n < jpeg.length; n += 29) {
      await mustFail(jpeg.subarray(0, n), /JPEG/);
    }
  });
  test('pixel data overwritten', async () => {
    const hurt = Buffer.from(jpeg);
    for (let i = at(0xda) + 20; i < hurt.length - 40; i += 7) hurt[i] = hurt[i]! ^ 0x55;
    await mustFail(hurt, /JPEG/);
  });
  test('EXIF whose directory points at itself is left out', async () => {
    // "Exif", II*, first directory at 8: no entries, next directory at 8.
    const body = hex('45786966 0000 49492a00 08000000 0000 08000000');
    const segment = Buffer.concat([hex('ffe1'), Buffer.from([0, body.length + 2]), body]);
    const image = await decodeImage(Buffer.concat([jpeg.subarray(0, 2), segment, jpeg.subarray(2)]), 'exif');
    expect(image.data).toEqual((await decodeImage(jpeg, 'plain')).data);
  });
});

describe('damaged TIFF', () => {
  const end = tiff([]).length;
  const start = 8 + 64;
  const damage: Record<string, [Buffer, RegExp]> = {
    'directory that is its own next': [tiff([], start), /form a loop/],
    'fourteen bytes that are their own directory': [hex('49492a00 08000000 0000 08000000'), /directory/],
    'two directories in a ring': [ring(), /form a loop/],
    'directory past the end': [setU32LE(tiff([]), 4, 1e6), /ends inside its directory/],
    'next directory past the end': [tiff([], end + 50), /ends inside its directory/],
    'strip outside the file': [tiff([[273, 4, [end - 10]]]), /strip or tile 0 .* outside/],
    'strip that is too long': [tiff([[279, 4, [2 ** 32 - 1]]]), /strip or tile 0 .* outside/],
    'strips missing': [tiff([[278, 4, [1]]]), /1 of 8 strips/],
    'strip too short for its rows': [tiff([[279, 4, [5]]]), /cannot be decoded/],
    'no rows in a strip': [tiff([[278, 4, [0]]]), /strips or tiles of no size/],
    'no width': [tiff([[256, 4, []]]), /lacks tag 256/],
    '65,535 samples': [tiff([[277, 3, [65_535]]]), /65535 samples/],
    '4 gigapixels': [
      tiff([
        [256, 4, [65_535]],
        [257, 4, [65_535]],
      ]),
      /over the limit/,
    ],
    'floating-point samples': [
      makeTiff(4, 4, pixels, { bits: 32, tags: [[339, 3, [3]]] }),
      /32 bits a sample/,
    ],
    'half-precision samples': [makeTiff(4, 8, pixels, { bits: 16, tags: [[339, 3, [3]]] }), /floating-point/],
    'array outside the file': [setCount(tiff([[279, 4, [64]]]), 279, 1e8), /tag 279 .* outside/],
    'a tag given twice': [twice(256), /tag 256 twice/],
    'strips given twice': [twice(273), /tag 273 twice/],
    // What no check needs is not read: the error is another one.
    'unneeded array outside the file': [
      setCount(
        tiff([
          [270, 1, [0]],
          [278, 4, [0]],
        ]),
        270,
        1e8,
      ),
      /of no size/,
    ],
    'ten thousand long descriptions': [descriptions(10_000, 1_000_000), /of no size/],
    'LZW that is none': [tiff([[259, 3, [5]]]), /cannot be decoded/],
    'BigTIFF with an offset of 2^63': [
      Buffer.concat([hex('49492b00 08000000'), hex('0000000000000080'), pixels]),
      /ends inside its directory/,
    ],
  };
  test.each(Object.entries(damage))('%s', (_, [bytes, message]) => mustFail(bytes, message));

  test('sub-directories are not followed', async () => {
    const image = await decodeImage(tiff([[330, 4, [start, start, start, 8]]]), 'sub');
    expect(image.width).toBe(8);
  });

  /** The tag after `tag` is renamed to it. */
  function twice(tag: number): Buffer {
    const out = tiff([]);
    for (let at = start + 2; ; at += 12) {
      if (out.readUInt16LE(at) !== tag) continue;
      out.writeUInt16LE(tag, at + 12);
      return out;
    }
  }

  /** A page of no rows a strip, and `times` entries that share one array of `count` bytes. */
  function descriptions(times: number, count: number): Buffer {
    const file = tiff([[278, 4, [0]]]);
    const entries = file.readUInt16LE(start);
    const directory = file.subarray(start + 2, start + 2 + entries * 12);
    const entry = Buffer.alloc(12);
    entry.writeUInt16LE(270, 0);
    entry.writeUInt16LE(1, 2);
    entry.writeUInt32LE(count, 4);
    entry.writeUInt32LE(start + 2 + (entries + times) * 12 + 4, 8);
    const counter = Buffer.alloc(2);
    counter.writeUInt16LE(entries + times);
    const many = Buffer.alloc(12 * times, entry);
    return Buffer.concat([file.subarray(0, start), counter, directory, many, Buffer.alloc(4 + count)]);
  }

  function ring(): Buffer {
    const first = tiff([], end);
    const second = Buffer.from(first.subarray(start));
    second.writeUInt32LE(start, second.length - 4 - (end - first.length));
    return Buffer.concat([first, second]);
  }
});

describe('other files', () => {
  test.each<[string, Buffer, RegExp]>([
    ['empty', Buffer.alloc(0), /the file is empty/],
    ['text', Buffer.from('hello world'), /no image format known here\. Give PNG/],
    ['SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), /no image format known/],
    ['GIF', Buffer.from('GIF89a......'), /this is a GIF/],
    ['bitmap without pixels', makeBmp(50, 50, 24, new Uint8Array(10)), /do not fit into the file/],
    ['bitmap of 2^31 columns', makeBmp(-(2 ** 31), 1, 24, new Uint8Array(10)), /-2147483648 x 1/],
    ['bitmap with a JPEG inside', makeBmp(5, 5, 0, new Uint8Array(99), { compression: 4 }), /compression 4/],
    [
      'bitmap run outside',
      makeBmp(2, 1, 8, hex('ff00 0001'), { compression: 1, extra: new Uint8Array(8), used: 2 }),
      /leaves the picture/,
    ],
    [
      'bitmap runs without end',
      makeBmp(2, 1, 8, hex('0100'), { compression: 1, extra: new Uint8Array(8), used: 2 }),
      /ends early/,
    ],
    [
      'bitmap mask with a hole',
      makeBmp(1, 1, 16, new Uint8Array(4), { compression: 3, extra: hex('05000000 02000000 08000000') }),
      /mask 0x5/,
    ],
    [
      'WebP, cut off',
      Buffer.concat([Buffer.from('RIFF'), hex('ff000000'), Buffer.from('WEBPVP8L'), Buffer.alloc(20)]),
      /the file has 36/,
    ],
  ])('%s', (_, bytes, message) => mustFail(bytes, message));
});

test('what a file says of its patient never reaches a message', async () => {
  const canary = 'CANARY^DOE^JANE';
  const exif = { IFD0: { ImageDescription: canary, Artist: canary } };
  const files = [
    await noise(32, 32).withExif(exif).jpeg().toBuffer(),
    tiff([[270, 2, [...Buffer.from(`${canary}\0`)]]]),
    await noise(32, 32).withExif(exif).webp().toBuffer(),
    makePng({
      width: 8,
      height: 8,
      rows: rows(8, 8),
      extra: [pngChunk('tEXt', Buffer.from(`Name\0${canary}`))],
    }),
  ];
  for (const file of files) {
    expect(file.includes('CANARY')).toBe(true);
    for (let k = 0; k < 60; k++) {
      const hurt = Buffer.from(file);
      hurt[(k * 7919) % hurt.length] = (k * 31) & 255;
      const cut = hurt.subarray(0, hurt.length - (k % 5) * 11);
      const text = await decodeImage(cut, 'f').then(
        () => '',
        (e: Error) => `${e.message} ${e.stack} ${(e.cause as Error | undefined)?.message}`,
      );
      expect(text).not.toContain('CANARY');
    }
  }
}, 60_000);

/** Mutations that know where formats keep their lengths: anywhere, in four bytes at a time, with extreme values. */
test('mutated files are an error or a whole picture, quickly', async () => {
  const runs = Number(process.env.MLA_LP_FUZZ ?? 800);
  const picture = () => noise(24, 20);
  const corpus = [
    await picture().png().toBuffer(),
    await picture().png({ palette: true, progressive: true }).toBuffer(),
    await picture().jpeg().toBuffer(),
    await picture().jpeg({ progressive: true }).toBuffer(),
    await picture().webp().toBuffer(),
    await picture().webp({ lossless: true }).toBuffer(),
    await picture().tiff({ compression: 'lzw' }).toBuffer(),
    await picture().tiff({ compression: 'deflate', tile: true, tileWidth: 16, tileHeight: 16 }).toBuffer(),
    await picture().tiff({ compression: 'jpeg' }).toBuffer(),
    makeBmp(24, 20, 24, new Uint8Array(24 * 20 * 3)),
    makeBmp(9, 2, 8, hex('0900 0000 0901 0001'), { compression: 1, extra: new Uint8Array(16), used: 4 }),
  ];
  // Integers, not doubles: fast-check's doubles crowd around zero and would only ever hit the signature.
  const edit = fc.record({
    at: fc.nat(2 ** 20),
    bytes: fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 4 }),
      fc.constantFrom(
        hex('ffffffff'),
        hex('00000000'),
        hex('7fffffff'),
        hex('ffff'),
        hex('00'),
        hex('80000000'),
      ),
    ),
    early: fc.boolean(),
  });
  const outcomes = { whole: 0, refused: 0, undecodable: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.nat(corpus.length - 1),
      fc.array(edit, { maxLength: 4 }),
      fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(2 ** 20) }),
      async (which, edits, cut) => {
        const file = Uint8Array.from(corpus[which]!);
        for (const { at, bytes, early } of edits) {
          const offset = 8 + (at % ((early ? Math.min(200, file.length) : file.length) - 8));
          file.set(bytes.subarray(0, file.length - offset), offset);
        }
        if (file[0] === 0x89) repairChecksums(file);
        const bytes = cut === null ? file : file.subarray(0, cut % file.length);
        const start = performance.now();
        try {
          const image = await decodeImage(bytes, 'fuzz', { maxPixels: 4_000_000 });
          expect(image.data.length).toBe(image.width * image.height * 3);
          outcomes.whole++;
        } catch (error) {
          if (!(error instanceof BadImageError)) throw error;
          outcomes[
            /cannot be decoded|pixel data|palette|rows/.test(error.message) ? 'undecodable' : 'refused'
          ]++;
        }
        // Against hanging; a busy machine may take its time.
        expect(performance.now() - start).toBeLessThan(20_000);
      },
    ),
    { numRuns: runs },
  );
  // A fuzzer that never gets past the signature proves nothing.
  for (const count of Object.values(outcomes)) expect(count).toBeGreaterThan(runs / 20);
}, 600_000);

/** Makes the checksums right again as far as the chunks can be followed. */
function repairChecksums(file: Uint8Array): void {
  const view = new DataView(file.buffer);
  for (let at = 8; at + 12 <= file.length; ) {
    const end = at + 8 + view.getUint32(at);
    if (end + 4 > file.length) return;
    view.setUint32(end, crc32(file.subarray(at + 4, end)));
    at = end + 4;
  }
}

function flip(file: Buffer, at: number): Buffer {
  return setByte(file, at, file[at]! ^ 0xff);
}

function setByte(file: Buffer, at: number, value: number): Buffer {
  const out = Buffer.from(file);
  out[at] = value;
  return out;
}

function setU32(file: Buffer, at: number, value: number): Buffer {
  const out = Buffer.from(file);
  out.writeUInt32BE(value, at);
  return out;
}

function setU32LE(file: Buffer, at: number, value: number): Buffer {
  const out = Buffer.from(file);
  out.writeUInt32LE(value, at);
  return out;
}

/** Overwrites the number of values of a TIFF tag. */
function setCount(file: Buffer, tag: number, count: number): Buffer {
  const entries = file.readUInt16LE(72);
  for (let i = 0; i < entries; i++) {
    if (file.readUInt16LE(74 + i * 12) === tag) return setU32LE(file, 78 + i * 12, count);
  }
  throw new Error(`no tag ${tag}`);
}

function withData(data: Uint8Array): Buffer {
  return Buffer.concat([png.subarray(0, 33), pngChunk('IDAT', data), pngChunk('IEND', new Uint8Array(0))]);
}
