/**
 * Windows bitmaps (headers of 12 to 124 bytes) to 8-bit RGB: 1, 4 and 8 bits with palette, also run-length encoded,
 * 16 and 32 bits with any masks, 24 bits; bottom-up and top-down. Source: Microsoft's BITMAPV5HEADER reference.
 * Alpha is dropped; masked samples of n bits become floor(v * 255 / (2^n - 1)).
 */
import { BadImageError } from '../../runtime/errors';
import type { RgbImage } from '../image';
import { COPY_AGAIN, checkDimensions, type DecodeLimits } from '../limits';

const BI_RGB = 0;
const BI_RLE8 = 1;
const BI_RLE4 = 2;
const BI_BITFIELDS = 3;
const BI_ALPHABITFIELDS = 6;

interface BmpHeader {
  readonly width: number;
  readonly height: number;
  readonly topDown: boolean;
  readonly bits: number;
  readonly compression: number;
  /** First byte of the pixels. */
  readonly pixels: number;
  /** First byte after the information header. */
  readonly headerEnd: number;
  readonly paletteEntries: number;
  readonly paletteStride: number;
}

/** @throws BadImageError when the file is cut off, its fields lie, or it uses an encoding outside the list above. */
export function decodeBmp(bytes: Uint8Array, name: string, limits: DecodeLimits): RgbImage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = readHeader(view, name, limits);
  const { width, height, bits, compression } = header;
  const run = compression === BI_RLE8 || compression === BI_RLE4;
  // Checked before the picture is allocated: a short file cannot ask for 300 MB.
  const rowBytes = Math.ceil((width * bits) / 32) * 4;
  if (!run && header.pixels + rowBytes * height > bytes.length) {
    throw new BadImageError(name, `the pixels of ${width} x ${height} do not fit into the file`, COPY_AGAIN);
  }
  if (run && header.pixels >= bytes.length) {
    throw new BadImageError(name, 'the pixels start after the end of the file', COPY_AGAIN);
  }
  const data = new Uint8Array(width * height * 3);
  const line = (row: number) => (header.topDown ? row : height - 1 - row) * width * 3;
  if (bits <= 8) {
    const palette = readPalette(bytes, header, name);
    const indices = run ? readRuns(bytes, header, name) : null;
    for (let row = 0; row < height; row++) {
      let o = line(row);
      for (let x = 0; x < width; x++) {
        const at = header.pixels + row * rowBytes;
        const index = indices ? indices[row * width + x]! : sample(bytes, at, x, bits);
        if (index * 3 >= palette.length) {
          throw new BadImageError(name, `pixel value ${index} is outside the palette`, COPY_AGAIN);
        }
        for (let c = 0; c < 3; c++) data[o++] = palette[index * 3 + c]!;
      }
    }
  } else if (bits === 24) {
    for (let row = 0; row < height; row++) {
      let at = header.pixels + row * rowBytes;
      for (let x = 0, o = line(row); x < width; x++, o += 3, at += 3) {
        data[o] = bytes[at + 2]!;
        data[o + 1] = bytes[at + 1]!;
        data[o + 2] = bytes[at]!;
      }
    }
  } else {
    const channels = readMasks(view, header, name);
    for (let row = 0; row < height; row++) {
      let o = line(row);
      for (let x = 0; x < width; x++) {
        const at = header.pixels + row * rowBytes + (x * bits) / 8;
        const value = bits === 16 ? view.getUint16(at, true) : view.getUint32(at, true);
        for (const { mask, shift, max } of channels) {
          data[o++] = Math.floor((((value & mask) >>> shift) * 255) / max);
        }
      }
    }
  }
  return { width, height, data };
}

function readHeader(view: DataView, name: string, limits: DecodeLimits): BmpHeader {
  const short = () => new BadImageError(name, 'the bitmap ends inside its header', COPY_AGAIN);
  if (view.byteLength < 26) throw short();
  const pixels = view.getUint32(10, true);
  const size = view.getUint32(14, true);
  if (size !== 12 && (size < 40 || size > 124)) {
    throw new BadImageError(name, `a bitmap header of ${size} bytes is unknown`);
  }
  const headerEnd = 14 + size;
  if (view.byteLength < headerEnd) throw short();
  const core = size === 12;
  const width = core ? view.getUint16(18, true) : view.getInt32(18, true);
  const signedHeight = core ? view.getUint16(20, true) : view.getInt32(22, true);
  const height = Math.abs(signedHeight);
  checkDimensions(name, width, height, limits);
  const bits = view.getUint16(core ? 24 : 28, true);
  const compression = core ? BI_RGB : view.getUint32(30, true);
  const fits =
    (compression === BI_RGB && [1, 4, 8, 16, 24, 32].includes(bits)) ||
    (compression === BI_RLE8 && bits === 8) ||
    (compression === BI_RLE4 && bits === 4) ||
    ((compression === BI_BITFIELDS || compression === BI_ALPHABITFIELDS) && (bits === 16 || bits === 32));
  if (!fits)
    throw new BadImageError(name, `bitmap compression ${compression} with ${bits} bits is not supported`);
  if (pixels < headerEnd) throw new BadImageError(name, 'the pixels start inside the header', COPY_AGAIN);
  const used = core ? 0 : view.getUint32(46, true);
  const most = bits <= 8 ? 2 ** bits : 0;
  return {
    width,
    height,
    topDown: signedHeight < 0,
    bits,
    compression,
    pixels,
    headerEnd,
    paletteEntries: used > 0 && used < most ? used : most,
    paletteStride: core ? 3 : 4,
  };
}

/** RGB triplets; the file keeps blue, green, red and, but in the oldest header, a spare byte. */
function readPalette(bytes: Uint8Array, header: BmpHeader, name: string): Uint8Array {
  const { paletteEntries, paletteStride, headerEnd, pixels } = header;
  // Some writers leave the count at 0 and still store fewer colours: what stands before the pixels counts.
  const entries = Math.min(
    paletteEntries,
    Math.floor((Math.min(pixels, bytes.length) - headerEnd) / paletteStride),
  );
  if (entries < 1) throw new BadImageError(name, 'the palette is missing', COPY_AGAIN);
  const palette = new Uint8Array(entries * 3);
  for (let i = 0; i < entries; i++) {
    for (let c = 0; c < 3; c++) palette[i * 3 + c] = bytes[headerEnd + i * paletteStride + 2 - c]!;
  }
  return palette;
}

function sample(bytes: Uint8Array, row: number, x: number, bits: number): number {
  if (bits === 8) return bytes[row + x]!;
  const bit = x * bits;
  return (bytes[row + (bit >> 3)]! >> (8 - bits - (bit & 7))) & (2 ** bits - 1);
}

/** Palette indices [height, width], in the file's row order, from run-length encoding; skipped pixels are index 0. */
function readRuns(bytes: Uint8Array, header: BmpHeader, name: string): Uint8Array {
  const { width, height, bits } = header;
  const nibbles = bits === 4;
  const out = new Uint8Array(width * height);
  let at = header.pixels;
  const next = (): number => {
    if (at >= bytes.length) throw new BadImageError(name, 'the run-length data ends early', COPY_AGAIN);
    return bytes[at++]!;
  };
  let x = 0;
  let y = 0;
  const put = (index: number) => {
    if (x >= width || y >= height) throw new BadImageError(name, 'a run leaves the picture', COPY_AGAIN);
    out[y * width + x++] = index;
  };
  for (;;) {
    const count = next();
    const value = next();
    if (count > 0) {
      for (let i = 0; i < count; i++) put(nibbles ? (i & 1 ? value & 15 : value >> 4) : value);
    } else if (value === 0) {
      x = 0;
      y++;
    } else if (value === 1) {
      return out;
    } else if (value === 2) {
      x += next();
      y += next();
    } else {
      let byte = 0;
      for (let i = 0; i < value; i++) {
        if (!nibbles || !(i & 1)) byte = next();
        put(nibbles ? (i & 1 ? byte & 15 : byte >> 4) : byte);
      }
      // Literal stretches are padded to two bytes.
      if ((nibbles ? (value + 1) >> 1 : value) & 1) next();
    }
  }
}

interface Channel {
  readonly mask: number;
  readonly shift: number;
  readonly max: number;
}

function readMasks(view: DataView, header: BmpHeader, name: string): Channel[] {
  const given = header.compression !== BI_RGB;
  // The masks follow a 40-byte header and are the next fields of a longer one: the same place.
  if (given && view.byteLength < 66)
    throw new BadImageError(name, 'the colour masks are missing', COPY_AGAIN);
  const masks = given
    ? [54, 58, 62].map((at) => view.getUint32(at, true))
    : header.bits === 16
      ? [0x7c00, 0x3e0, 0x1f]
      : [0xff0000, 0xff00, 0xff];
  return masks.map((mask) => {
    const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask);
    const max = mask >>> shift;
    if (mask === 0 || (max & (max + 1)) !== 0) {
      throw new BadImageError(name, `colour mask 0x${mask.toString(16)} is no run of bits`, COPY_AGAIN);
    }
    return { mask, shift, max };
  });
}
