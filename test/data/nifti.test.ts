/** NIfTI to RGB: types, endianness, gzip, scaling, window, orientation, and the lies that headers tell. */
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { DecodeOptions } from '../../src/data/limits';
import { loadSample } from '../../src/data/load-sample';
import { openVolume, type VolumeOptions } from '../../src/data/volume';
import { decodeImage, decoders } from '../../src/platform/node/decode-image';
import { BadImageError, OptionError } from '../../src/runtime/errors';
import { makeNifti, NIFTI_CANARIES, type NiftiShape } from './make-nifti';

const open = (bytes: Uint8Array, options?: VolumeOptions) => openVolume(decoders, bytes, 'brain', options);
async function grays(bytes: Uint8Array, options?: VolumeOptions): Promise<number[][]> {
  const volume = await open(bytes, options);
  const out: number[][] = [];
  for (let i = 0; i < volume.slices; i++) {
    out.push([...(await volume.slice(i)).data].filter((_, k) => k % 3 === 0));
  }
  return out;
}
/** Levels are the values themselves. */
const window = { center: 127.5, width: 255 };
const ramp = [0, 1, 50, 100, 120, 127];

describe('values', () => {
  const types = [2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280];
  test.each(
    types.flatMap(
      (type) =>
        [
          [type, true],
          [type, false],
        ] as const,
    ),
  )('type %i, little-endian %s', async (type, little) => {
    const shape = { type, little, dims: [3, 2, 1] };
    expect(await grays(makeNifti(shape, ramp), { window })).toEqual([ramp]);
    expect(await grays(makeNifti({ ...shape, version: 2 }, ramp), { window })).toEqual([ramp]);
    expect(await grays(gzipSync(makeNifti(shape, ramp)), { window })).toEqual([ramp]);
  });

  test.each([128, 2304])('colours (type %i) meet no window', async (type) => {
    const image = await decodeImage(makeNifti({ type, dims: [2, 1] }, [10, 20]), 'brain');
    expect([...image.data]).toEqual([10, 11, 12, 20, 21, 22]);
  });

  test('slope and intercept; a slope of 0 is none', async () => {
    const options = { window: { center: 500, width: 1000 } };
    const values = [0, 100, 200];
    const want = values.map((v) => Math.round(((2 * v + 100) / 1000) * 255));
    expect(await grays(makeNifti({ slope: 2, inter: 100 }, values), options)).toEqual([want]);
    const plain = values.map((v) => Math.round((v / 1000) * 255));
    expect(await grays(makeNifti({ slope: 0, inter: 100 }, values), options)).toEqual([plain]);
  });

  test('the window of a volume: percentiles 0.5 and 99.5, the same for all slices', async () => {
    // 1000 values 0..999 on two slices: the 5th and 995th value by rank.
    const values = Array.from({ length: 1000 }, (_, i) => (i * 7) % 1000);
    const expected = values.map((v) => Math.round(Math.min(Math.max((v - 4) / 990, 0), 1) * 255));
    for (const type of [4, 16]) {
      const got = await grays(makeNifti({ type, dims: [50, 10, 2] }, values));
      const worst = got.flat().reduce((m, v, i) => Math.max(m, Math.abs(v - expected[i]!)), 0);
      expect(worst, `type ${type}`).toBeLessThanOrEqual(type === 4 ? 0 : 1);
    }
  });

  test('a small bright thing on nothing is seen', async () => {
    const values = Array(1000).fill(0);
    values[500] = 1;
    const [level] = await grays(makeNifti({ dims: [100, 10, 1] }, values));
    expect(level!.filter((v) => v === 255)).toHaveLength(1);
    expect(level!.filter((v) => v === 0)).toHaveLength(999);
  });

  test('one value everywhere is black', async () => {
    expect(await grays(makeNifti({}, [7, 7, 7]))).toEqual([[0, 0, 0]]);
  });

  test('masks: over zero is white, whatever the label', async () => {
    expect(await grays(makeNifti({ dims: [4, 1, 1] }, [0, 1, 3, -1]), { mask: true })).toEqual([
      [0, 255, 255, 0],
    ]);
  });
});

describe('slices', () => {
  const cube = makeNifti(
    { dims: [2, 3, 4], type: 2 },
    Array.from({ length: 24 }, (_, i) => i),
  );
  const at = (x: number, y: number, z: number) => x + 2 * y + 6 * z;

  test.each([
    [0, 2, (i: number) => [0, 1, 2, 3].flatMap((z) => [0, 1, 2].map((y) => at(i, y, z)))],
    [1, 3, (i: number) => [0, 1, 2, 3].flatMap((z) => [0, 1].map((x) => at(x, i, z)))],
    [2, 4, (i: number) => [0, 1, 2].flatMap((y) => [0, 1].map((x) => at(x, y, i)))],
  ] as const)('axis %i has %i slices, in the order of voxels', async (axis, count, pixels) => {
    const got = await grays(cube, { axis, window });
    expect(got).toHaveLength(count);
    expect(got).toEqual(got.map((_, i) => pixels(i)));
  });

  test("the acquisition's axis is taken where the header names it", async () => {
    const named = makeNifti({ dims: [2, 3, 4], type: 2, info: 1 << 4 }, Array(24).fill(0));
    expect((await open(named)).slices).toBe(2);
    expect((await open(cube)).slices).toBe(4);
  });

  test('of four dimensions the first volume, or the one asked for', async () => {
    const bytes = makeNifti({ dims: [2, 1, 1, 3], type: 2 }, [1, 2, 3, 4, 5, 6]);
    for (const data of [bytes, gzipSync(bytes)]) {
      expect(await grays(data, { window })).toEqual([[1, 2]]);
      expect(await grays(data, { window, volume: 2 })).toEqual([[5, 6]]);
      expect((await open(data)).warnings).toEqual(['it holds 3 volumes, of which the first was taken']);
      expect((await open(data, { volume: 0 })).warnings).toEqual([]);
      await expect(open(data, { volume: 3 })).rejects.toThrow(OptionError);
    }
  });

  test('several slices are no picture, one is', async () => {
    await expect(decodeImage(cube, 'brain')).rejects.toThrow(/brain: this is a volume of 4 slices/);
    expect(await decodeImage(gzipSync(makeNifti({ dims: [3, 2] }, ramp)), 'brain')).toMatchObject({
      width: 3,
      height: 2,
    });
  });
});

describe('orientation', () => {
  // One voxel of the volume differs: the patient's right, front, head corner.
  const dims = [3, 4, 5] as const;
  /** Voxel axes by letter: "LPS" runs to the left, the back and the head. */
  function marked(letters: string): Buffer {
    const world = { R: [0, 1], L: [0, -1], A: [1, 1], P: [1, -1], S: [2, 1], I: [2, -1] } as const;
    const axes = [...letters].map((letter) => world[letter as 'R']);
    const sform = Array(12).fill(0);
    axes.forEach(([row, sign], k) => {
      sform[4 * row! + k] = 2 * sign!;
    });
    const values = Array(60).fill(10);
    const corner = axes.map(([, sign], k) => (sign! > 0 ? dims[k]! - 1 : 0));
    values[corner[0]! + 3 * corner[1]! + 12 * corner[2]!] = 200;
    return makeNifti({ dims, sform, type: 2 }, values);
  }
  /** Where the marked voxel lies in the one slice that holds it. */
  async function markedAt(letters: string, axis: 0 | 1 | 2) {
    const volume = await open(marked(letters), { axis, window });
    for (let i = 0; i < volume.slices; i++) {
      const { data, width, height } = await volume.slice(i);
      const at = data.indexOf(200) / 3;
      if (at < 0) continue;
      return { slice: i, left: at % width === 0, top: Math.floor(at / width) === 0, width, height };
    }
    return undefined;
  }

  test.each(['RAS', 'LPS', 'LAS', 'RPI', 'SAR', 'ASL', 'PIR', 'IRP'])(
    '%s: right, front and head are left and top',
    async (letters) => {
      for (const axis of [0, 1, 2] as const) {
        const found = await markedAt(letters, axis);
        expect(found, `axis ${axis}`).toMatchObject({ left: true, top: true });
        const across = 'RLAPSI'.indexOf(letters[axis]!) >> 1;
        const [x, y] = across === 2 ? [0, 1] : across === 1 ? [0, 2] : [1, 2];
        const size = (world: number) =>
          dims[[...letters].findIndex((c) => 'RLAPSI'.indexOf(c) >> 1 === world)];
        expect([found!.width, found!.height]).toEqual([size(x!), size(y!)]);
      }
    },
  );

  test('oblique axes count for the closest; a quaternion says the same as a matrix', async () => {
    const [c, s] = [Math.cos(0.3), Math.sin(0.3)];
    const oblique = makeNifti(
      { dims: [2, 2, 1], type: 2, sform: [-c, -s, 0, 5, -s, c, 0, 6, 0, 0, 1, 7] },
      [1, 2, 3, 4],
    );
    expect(await grays(oblique, { window })).toEqual([[3, 4, 1, 2]]);
    // Half a turn about z: x to the left, y to the back (RAS+); with pixdim.
    const turned = makeNifti(
      { dims: [2, 2, 1], type: 2, qform: [0, 0, 1, 5, 6, 7], pixdim: [1, 2, 3, 4] },
      [1, 2, 3, 4],
    );
    expect(await grays(turned, { window })).toEqual([[1, 2, 3, 4]]);
    expect((await open(turned)).grid.affine!.map((v) => v + 0)).toEqual([
      -2, 0, 0, 5, 0, -3, 0, 6, 0, 0, 4, 7,
    ]);
    const mirrored = makeNifti({ dims: [2, 2, 1], qform: [0, 0, 0, 0, 0, 0], pixdim: [-1, 2, 3, 4] }, ramp);
    expect((await open(mirrored)).grid.affine![10]).toBe(-4);
  });

  test("without orientation the file's own order stays", async () => {
    expect(await grays(makeNifti({ dims: [2, 2, 1], type: 2 }, [1, 2, 3, 4]), { window })).toEqual([
      [1, 2, 3, 4],
    ]);
  });
});

describe('damage', () => {
  const lie = (shape: NiftiShape, values: readonly number[] = ramp) => makeNifti(shape, values);
  const damage: Record<string, [Uint8Array, RegExp]> = {
    'bad sizeof_hdr': [lie({ headerSize: 349 }), /header says that it is 349 bytes/],
    '377 bytes that claim 18 GB': [
      lie({ dims: [2000, 2000, 2250] }, Array(12).fill(0)).subarray(0, 377),
      /2000 x 2000 x 2250 int16 .* over the limit/,
    ],
    '377 bytes that claim 256 MB': [
      gzipSync(lie({ dims: [512, 512, 512] }, Array(12).fill(0))),
      /do not fit in 376 bytes/,
    ],
    'a million volumes': [
      lie({ dims: [32767, 3000, 1, 32767, 32767, 32767, 32767] }),
      /do not fit|over the limit/,
    ],
    'dimension 0': [lie({ dims: [3, 0, 2] }), /dimension .* is 0/],
    'dimension below 0': [lie({ dims: [3, -2, 1] }), /dimension .* is -2/],
    'no dimensions': [lie({ dims: [] }), /0 dimensions/],
    'one dimension': [lie({ dims: [6] }), /1 dimensions/],
    'eight dimensions': [
      (() => {
        const b = lie({});
        b.writeInt16LE(8, 40);
        return b;
      })(),
      /8 dimensions/,
    ],
    'offset NaN': [lie({ offset: Number.NaN }), /begin at byte NaN/],
    'offset past the end': [lie({ offset: 1e9 }), /from byte 1000000000 on do not fit/],
    'offset in the header': [lie({ offset: 100 }), /begin at byte 100/],
    'half an offset': [lie({ offset: 352.5 }), /begin at byte 352.5/],
    'offset below 0': [lie({ version: 2, offset: -8 }), /begin at byte -8/],
    'gzip bomb': [
      gzipSync(Buffer.concat([lie({ dims: [3, 2, 1] }), Buffer.alloc(100e6)])),
      /unpacks to more than its header says/,
    ],
    'gzip bomb without NIfTI': [gzipSync(Buffer.alloc(100e6)), /header says that it is 0 bytes/],
    'gzip of something else': [gzipSync('hello world'), /shorter than its header/],
    'gzip, cut off': [gzipSync(lie({ dims: [3, 2, 1] })).subarray(0, 60), /damaged or cut off/],
    'gzip, wrong checksum': [
      (() => {
        const b = gzipSync(lie({ dims: [3, 2, 1] }));
        b[b.length - 6]! ^= 1;
        return b;
      })(),
      /damaged or cut off/,
    ],
    'slope NaN': [lie({ slope: Number.NaN }), /scaled by NaN/],
    'intercept infinite': [lie({ slope: 1, inter: Number.POSITIVE_INFINITY }), /scaled by 1 and Infinity/],
    'voxel NaN': [
      lie({ type: 16, dims: [3, 2, 1] }, [1, 2, 3, 4, Number.NaN, 6]),
      /voxel \[1, 1, 0\] is NaN/,
    ],
    'unknown datatype': [lie({ type: 1792 }), /type 1792 is not supported/],
    'wrong bits': [
      (() => {
        const b = lie({});
        b.writeInt16LE(32, 72);
        return b;
      })(),
      /int16 of 32 bits/,
    ],
    'header only': [lie({}).subarray(0, 348), /do not fit in 348 bytes/],
    'a pair of files': [lie({ magic: 'ni1\0' }), /pair of NIfTI files/],
    'cut off': [
      lie({ dims: [3, 2, 1] }).subarray(0, 360),
      /3 x 2 x 1 int16 voxels from byte 352 on do not fit in 360/,
    ],
  };
  test.each(Object.entries(damage))('%s', async (_, [bytes, message]) => {
    const start = performance.now();
    const error = await decodeImage(bytes, 'brain').then(
      () => new Error('it was decoded'),
      (e: Error) => e,
    );
    expect(error.message).toMatch(message);
    expect(error).toBeInstanceOf(BadImageError);
    expect(error.message).toMatch(/^brain: .+\. [A-Z].+\.$/);
    for (const canary of NIFTI_CANARIES) expect(error.message).not.toContain(canary);
    // Against hanging; a busy machine may take its time.
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  test('extensions are stepped over unread, whatever length they claim', async () => {
    const bytes = makeNifti({ dims: [3, 2, 1], type: 2, offset: 400 }, ramp);
    bytes[348] = 1;
    bytes.writeInt32LE(-16, 352);
    bytes.write('CANARY-EXTENSION', 360);
    expect(await grays(bytes, { window })).toEqual([ramp]);
  });

  test('nothing of the free text comes out', async () => {
    const bytes = makeNifti({ dims: [3, 2, 1] }, ramp);
    const seen = JSON.stringify(await open(bytes));
    for (const canary of NIFTI_CANARIES) {
      expect(bytes.includes(canary)).toBe(true);
      expect(seen).not.toContain(canary);
    }
  });
});

test('a mask of labels counts wherever it is over zero, in training and in checks', async () => {
  const picture = makeNifti({ dims: [4, 1, 1] }, [1, 2, 3, 4]);
  // Without the mask's meaning label 1 of 4 would be dark.
  const mask = makeNifti({ dims: [4, 1, 1] }, [0, 1, 4, 0]);
  const read = (bytes: Uint8Array, options?: DecodeOptions) => decodeImage(bytes, 'file', options);
  const sample = await loadSample({ path: picture, mask }, 4, read);
  expect([...sample.mask!.subarray(0, 4)]).toEqual([0, 1, 1, 0]);
});
