/** Builds small image files by hand, whole or broken on purpose. */
import { deflateSync } from 'node:zlib';
import { crc32 } from '../../src/runtime/crc32';

export interface PngParts {
  width: number;
  height: number;
  depth?: number;
  colour?: number;
  interlace?: number;
  palette?: Uint8Array;
  /** Filtered rows, not yet compressed. */
  rows: Uint8Array;
  /** Chunks put before the pixel data. */
  extra?: Buffer[];
}

export function pngChunk(type: string, body: Uint8Array): Buffer {
  const out = Buffer.alloc(12 + body.length);
  out.writeUInt32BE(body.length, 0);
  out.write(type, 4, 'latin1');
  out.set(body, 8);
  out.writeUInt32BE(crc32(out.subarray(4, 8 + body.length)), 8 + body.length);
  return out;
}

export function makePng({
  width,
  height,
  depth = 8,
  colour = 0,
  interlace = 0,
  palette,
  rows,
  extra = [],
}: PngParts) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour, 0, 0, interlace], 8);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    pngChunk('IHDR', header),
    ...extra,
    ...(palette ? [pngChunk('PLTE', palette)] : []),
    pngChunk('IDAT', deflateSync(rows)),
    pngChunk('IEND', new Uint8Array(0)),
  ]);
}

export type TiffTag = readonly [tag: number, type: number, values: readonly number[]];

export interface TiffOptions {
  bits?: number;
  samples?: number;
  photometric?: number;
  tags?: readonly TiffTag[];
  /** Offset of the next page. */
  next?: number;
}

/** One uncompressed little-endian page; `tags` replaces or adds to the usual ones, an empty list removes a tag. */
export function makeTiff(
  width: number,
  height: number,
  pixels: Uint8Array,
  { bits = 8, samples = 1, photometric, tags = [], next = 0 }: TiffOptions = {},
): Buffer {
  const usual: TiffTag[] = [
    [256, 4, [width]],
    [257, 4, [height]],
    [258, 3, Array(samples).fill(bits)],
    [259, 3, [1]],
    [262, 3, [photometric ?? (samples >= 3 ? 2 : 1)]],
    [273, 4, [8]],
    [277, 3, [samples]],
    [278, 4, [height]],
    [279, 4, [pixels.length]],
  ];
  const merged = new Map(usual.map((entry) => [entry[0], entry]));
  for (const entry of tags) merged.set(entry[0], entry);
  const entries = [...merged.values()].filter((entry) => entry[2].length > 0).sort((a, b) => a[0] - b[0]);
  const start = 8 + pixels.length + (pixels.length & 1);
  const directory = Buffer.alloc(2 + entries.length * 12 + 4);
  directory.writeUInt16LE(entries.length, 0);
  const tail: Buffer[] = [];
  let tailAt = start + directory.length;
  entries.forEach(([tag, type, values], i) => {
    const at = 2 + i * 12;
    const size = type === 2 ? 1 : type === 3 ? 2 : 4;
    const packed = Buffer.alloc(Math.max(4, values.length * size));
    values.forEach((v, k) => {
      if (size === 1) packed[k] = v;
      else if (size === 2) packed.writeUInt16LE(v, k * 2);
      else packed.writeUInt32LE(v, k * 4);
    });
    directory.writeUInt16LE(tag, at);
    directory.writeUInt16LE(type, at + 2);
    directory.writeUInt32LE(values.length, at + 4);
    if (packed.length === 4) {
      packed.copy(directory, at + 8);
    } else {
      directory.writeUInt32LE(tailAt, at + 8);
      tail.push(packed);
      tailAt += packed.length;
    }
  });
  directory.writeUInt32LE(next, directory.length - 4);
  const header = Buffer.alloc(8);
  header.write('II*\0', 'latin1');
  header.writeUInt32LE(start, 4);
  return Buffer.concat([header, pixels, Buffer.alloc(pixels.length & 1), directory, ...tail]);
}

/** A bitmap with a 40-byte header; `extra` (palette or masks) follows it. */
export function makeBmp(
  width: number,
  height: number,
  bits: number,
  pixels: Uint8Array,
  { compression = 0, extra = new Uint8Array(0), used = 0 } = {},
): Buffer {
  const header = Buffer.alloc(54);
  header.write('BM', 'latin1');
  header.writeUInt32LE(54 + extra.length + pixels.length, 2);
  header.writeUInt32LE(54 + extra.length, 10);
  header.writeUInt32LE(40, 14);
  header.writeInt32LE(width, 18);
  header.writeInt32LE(height, 22);
  header.writeUInt16LE(1, 26);
  header.writeUInt16LE(bits, 28);
  header.writeUInt32LE(compression, 30);
  header.writeUInt32LE(used, 46);
  return Buffer.concat([header, extra, pixels]);
}
