/** Lossless JPEG beyond what DCMTK writes: restart marks, point transform, and data that ends. */
import { expect, test } from 'vitest';
import { decodeJpeg } from '../../src/data/formats/dicom/jpeg';
import { EntropyReader, huffmanTable } from '../../src/data/formats/dicom/jpeg-entropy';

/** Sizes 0 to 8, each a code of four bits. */
const COUNTS = [0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const SIZES = [0, 1, 2, 3, 4, 5, 6, 7, 8];

/** T.81, annex H, predictor 1, 8 bits. @param interval samples between restart marks; lines, as encoders do. */
function encode(
  width: number,
  height: number,
  samples: readonly number[],
  interval = 0,
  shift = 0,
): Uint8Array {
  const data: number[] = [];
  let bits = '';
  const flush = () => {
    while (bits.length % 8 !== 0) bits += '1';
    for (let i = 0; i < bits.length; i += 8) {
      const byte = Number.parseInt(bits.slice(i, i + 8), 2);
      data.push(byte, ...(byte === 0xff ? [0] : []));
    }
    bits = '';
  };
  let top = 0;
  for (let i = 0, marks = 0; i < width * height; i++) {
    const [x, y] = [i % width, Math.floor(i / width)];
    const restart = interval > 0 && i > 0 && i % interval === 0;
    if (restart) {
      flush();
      data.push(0xff, 0xd0 + (marks++ & 7));
      top = y;
    }
    const at = (k: number) => samples[k]! >> shift;
    const middle = 1 << (7 - shift);
    const predicted = x > 0 ? at(i - 1) : y > top ? at(i - width) : middle;
    const difference = at(i) - predicted;
    const size = difference === 0 ? 0 : Math.floor(Math.log2(Math.abs(difference))) + 1;
    const code = difference < 0 ? difference + (1 << size) - 1 : difference;
    bits += size.toString(2).padStart(4, '0') + (size > 0 ? code.toString(2).padStart(size, '0') : '');
  }
  flush();
  const [w, h] = [width, height].map((v) => [v >> 8, v & 255]) as [number[], number[]];
  return Uint8Array.from(
    [
      [0xff, 0xd8, 0xff, 0xc3, 0, 11, 8, ...h, ...w, 1, 1, 0x11, 0],
      [0xff, 0xc4, 0, 28, 0, ...COUNTS, ...SIZES],
      interval > 0 ? [0xff, 0xdd, 0, 4, interval >> 8, interval & 255] : [],
      [0xff, 0xda, 0, 8, 1, 1, 0, 1, 0, shift, ...data, 0xff, 0xd9],
    ].flat(),
  );
}

const [width, height] = [5, 12];
const samples = Array.from({ length: width * height }, (_, i) => (i * 53) % 251);
const shape = { width, height, components: 1, bits: 8 };

test('restart marks, after which prediction begins anew', () => {
  for (const interval of [0, width, 3 * width]) {
    expect([...decodeJpeg(encode(width, height, samples, interval), shape, 'scan')]).toEqual(samples);
  }
});

test('a restart mark that is missing or out of turn', () => {
  const bytes = encode(width, height, samples, width);
  const at = bytes.findIndex((v, i) => v === 0xff && bytes[i + 1] === 0xd1);
  bytes[at + 1] = 0xd2;
  expect(() => decodeJpeg(bytes, shape, 'scan')).toThrow(/restart mark is missing/);
});

test('a point transform leaves the low bits out', () => {
  const decoded = decodeJpeg(encode(width, height, samples, 0, 2), shape, 'scan');
  expect([...decoded]).toEqual(samples.map((v) => v & ~3));
});

test('data that ends is no row of zeros, not even where all that is missing would be zero bits', () => {
  const flat = encode(width, height, Array(width * height).fill(128));
  expect([...decodeJpeg(flat, shape, 'scan')]).toEqual(Array(width * height).fill(128));
  // All differences are 0, whose code is 0000.
  const cut = Uint8Array.from([...flat.subarray(0, flat.length - 12), 0xff, 0xd9]);
  expect(() => decodeJpeg(cut, shape, 'scan')).toThrow(/cut off or damaged/);
});

test('the reader ends where the data does', () => {
  const table = huffmanTable(Uint8Array.from(COUNTS), Uint8Array.from(SIZES))!;
  const reader = new EntropyReader(Uint8Array.of(0x0f, 0xff, 0xd9), 0);
  expect([reader.symbol(table), reader.symbol(table)]).toEqual([0, undefined]);
  const tight = new EntropyReader(Uint8Array.of(0x00), 0);
  expect([tight.symbol(table), tight.symbol(table), tight.symbol(table)]).toEqual([0, 0, undefined]);
  const stuffed = new EntropyReader(Uint8Array.of(0xff, 0, 0x80), 0);
  expect([stuffed.number(9), stuffed.number(8)]).toEqual([511, undefined]);
  expect(huffmanTable(Uint8Array.from([3, ...Array(15).fill(0)]), Uint8Array.of(1, 2, 3))).toBeUndefined();
});
