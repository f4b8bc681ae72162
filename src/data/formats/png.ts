/**
 * PNG (W3C Recommendation, third edition) to 8-bit RGB, the same pixels in Node, browsers and Deno: a canvas would
 * convert colours and multiply by alpha, and no library at hand is strict about damaged files in bounded memory.
 *
 * What the pixels become: 16-bit samples keep their high byte, 1-, 2- and 4-bit gray is stretched to 0..255, palettes are
 * looked up, alpha and transparency are dropped, gamma and colour profiles are not applied: Pillow's convert('RGB')
 * (which clips 16-bit gray instead of keeping its high byte). Of an animated PNG the still image counts.
 */
import { crc32 } from '../../runtime/crc32';
import { BadImageError } from '../../runtime/errors';
import type { RgbImage } from '../image';
import { COPY_AGAIN, checkDimensions, type DecodeLimits } from '../limits';

interface PngHeader {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colour: number;
  readonly interlaced: boolean;
}

interface Png extends PngHeader {
  readonly palette: Uint8Array | null;
  /** Contents of the IDAT chunks joined: a view into the file if there is one, else a copy. */
  readonly data: Uint8Array<ArrayBuffer>;
}

const GRAY = 0;
const RGB = 2;
const PALETTE = 3;
const GRAY_ALPHA = 4;
const RGBA = 6;

/** Samples a pixel and allowed bit depths, by colour type (table 8 of the Recommendation). */
const colourTypes = new Map([
  [GRAY, { channels: 1, depths: [1, 2, 4, 8, 16] }],
  [RGB, { channels: 3, depths: [8, 16] }],
  [PALETTE, { channels: 1, depths: [1, 2, 4, 8] }],
  [GRAY_ALPHA, { channels: 2, depths: [8, 16] }],
  [RGBA, { channels: 4, depths: [8, 16] }],
]);

/** Adam7: first column and row, step across and down, of each pass. */
const adam7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;
const wholeImage = [[0, 0, 1, 1]] as const;

/** Unpacks a zlib stream piece by piece; throws on damage and on a missing end. */
export type Inflate = (data: Uint8Array<ArrayBuffer>) => AsyncIterable<Uint8Array>;

/** Everywhere. Its 16 KiB pieces cost Node half of its time, which is why a platform may bring its own. */
async function* inflateStream(data: Uint8Array<ArrayBuffer>): AsyncGenerator<Uint8Array> {
  const reader = new Blob([data]).stream().pipeThrough(new DecompressionStream('deflate')).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/**
 * @param bytes a whole PNG file. @param name what messages call it.
 * @throws BadImageError on any damage: checksum, truncation, too little or too much data, bad palette index.
 */
export async function decodePng(
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
  limits: DecodeLimits,
  inflate: Inflate = inflateStream,
): Promise<RgbImage> {
  const png = readChunks(bytes, name, limits);
  const image = { width: png.width, height: png.height, data: new Uint8Array(png.width * png.height * 3) };
  const rows = new RowReader(png, image, name);
  const deadline = performance.now() + limits.timeoutMs;
  try {
    for await (const piece of inflate(png.data)) {
      rows.push(piece);
      if (performance.now() > deadline) {
        throw new BadImageError(name, `decoding took over ${limits.timeoutMs / 1000} s`);
      }
    }
  } catch (cause) {
    if (cause instanceof BadImageError) throw cause;
    throw new BadImageError(name, 'the compressed pixel data is damaged', COPY_AGAIN, { cause });
  }
  rows.finish();
  return image;
}

/** Walks the chunks, checks every length and checksum, and keeps what the pixels need. */
function readChunks(bytes: Uint8Array<ArrayBuffer>, name: string, limits: DecodeLimits): Png {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bad = (detail: string) => new BadImageError(name, detail, COPY_AGAIN);
  let header: PngHeader | null = null;
  let palette: Uint8Array | null = null;
  // One buffer, not one part a chunk: a file may hold a million chunks of a byte.
  let data = new Uint8Array(0);
  let used = 0;
  for (let at = 8; ; ) {
    if (at + 12 > bytes.length) throw bad('the PNG ends without its end chunk');
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (!/^[A-Za-z]{4}$/.test(type)) throw bad(`no PNG chunk stands at byte ${at}`);
    const end = at + 8 + length;
    if (end + 4 > bytes.length) throw bad(`chunk ${type} at byte ${at} runs past the end of the file`);
    const body = bytes.subarray(at + 8, end);
    if (!header && type !== 'IHDR') throw bad(`the PNG starts with chunk ${type}, not IHDR`);
    // The header's limits come before the checksums, so that a huge file is refused at once.
    if (type === 'IHDR') {
      if (header) throw bad('the PNG has two headers');
      header = readHeader(body, name, limits);
    }
    if (crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end)) {
      throw bad(`the checksum of chunk ${type} at byte ${at} is wrong`);
    }
    if (type === 'IEND') break;
    if (type === 'PLTE') palette = body;
    else if (type === 'IDAT') {
      if (used === 0) data = body;
      else if (length > 0) {
        // Copied at the second chunk that holds data, with room for all that can follow.
        if (data.length === used) data = grown(data, used + bytes.length - at);
        data.set(body, used);
      }
      used += length;
    }
    // A capital first letter marks a chunk that must be understood.
    else if (type !== 'IHDR' && type < 'a') throw bad(`critical chunk ${type} is unknown`);
    at = end + 4;
  }
  if (used === 0) throw bad('the PNG holds no pixel data');
  if (header!.colour === PALETTE && (!palette || palette.length === 0 || palette.length % 3 !== 0)) {
    throw bad('the palette is missing or no multiple of three bytes');
  }
  return { ...header!, palette, data: data.subarray(0, used) };
}

function grown(data: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(length);
  out.set(data);
  return out;
}

function readHeader(body: Uint8Array, name: string, limits: DecodeLimits): PngHeader {
  if (body.length !== 13) throw new BadImageError(name, `the PNG header has ${body.length} bytes, not 13`);
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colour, compression, filter, interlace] = body.subarray(8) as unknown as number[];
  checkDimensions(name, width, height, limits);
  if (!colourTypes.get(colour!)?.depths.includes(depth!)) {
    throw new BadImageError(name, `colour type ${colour} with ${depth} bits does not exist in PNG`);
  }
  if (compression !== 0 || filter !== 0 || interlace! > 1) {
    throw new BadImageError(
      name,
      'the PNG uses a compression, filter or interlace method that does not exist',
    );
  }
  return { width, height, depth: depth!, colour: colour!, interlaced: interlace === 1 };
}

/** Takes inflated bytes as they come, undoes the filters and writes RGB: two rows of state, whatever the image's size. */
class RowReader {
  private readonly channels: number;
  /** Bytes back to the same sample of the pixel on the left; 1 below 8 bits (section 9.2). */
  private readonly pixelBytes: number;
  private readonly passes: readonly (readonly [number, number, number, number])[];
  private pass = -1;
  private columns = 0;
  private rowsLeft = 0;
  private y = 0;
  private row = new Uint8Array(0);
  private previous = new Uint8Array(0);
  /** Bytes of the current row seen, its filter byte included. */
  private filled = 0;
  private filter = 0;

  constructor(
    private readonly png: Png,
    private readonly image: RgbImage,
    private readonly name: string,
  ) {
    this.channels = colourTypes.get(png.colour)!.channels;
    this.pixelBytes = Math.max(1, (this.channels * png.depth) >> 3);
    this.passes = png.interlaced ? adam7 : wholeImage;
    this.nextPass();
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.rowsLeft === 0) {
        throw new BadImageError(this.name, 'the PNG holds more pixel data than its header says', COPY_AGAIN);
      }
      if (this.filled === 0) {
        this.filter = chunk[at++]!;
        if (this.filter > 4) throw new BadImageError(this.name, 'a row uses an unknown filter', COPY_AGAIN);
        this.filled = 1;
      }
      const take = Math.min(chunk.length - at, this.row.length + 1 - this.filled);
      this.row.set(chunk.subarray(at, at + take), this.filled - 1);
      this.filled += take;
      at += take;
      if (this.filled === this.row.length + 1) this.endRow();
    }
  }

  finish(): void {
    if (this.rowsLeft > 0) {
      throw new BadImageError(this.name, 'the PNG holds fewer rows than its header says', COPY_AGAIN);
    }
  }

  private nextPass(): void {
    const { width, height, depth } = this.png;
    while (++this.pass < this.passes.length) {
      const [x0, y0, dx, dy] = this.passes[this.pass]!;
      this.columns = Math.max(0, Math.ceil((width - x0) / dx));
      this.rowsLeft = this.columns && Math.max(0, Math.ceil((height - y0) / dy));
      if (this.rowsLeft === 0) continue;
      this.y = y0;
      const rowBytes = Math.ceil((this.columns * this.channels * depth) / 8);
      this.row = new Uint8Array(rowBytes);
      this.previous = new Uint8Array(rowBytes);
      return;
    }
  }

  private endRow(): void {
    unfilter(this.filter, this.row, this.previous, this.pixelBytes);
    this.writeRow();
    [this.row, this.previous] = [this.previous, this.row];
    this.filled = 0;
    this.y += this.passes[this.pass]![3];
    if (--this.rowsLeft === 0) this.nextPass();
  }

  private writeRow(): void {
    const { row, columns, channels } = this;
    const { colour, depth, palette, width } = this.png;
    const [x0, , dx] = this.passes[this.pass]!;
    const out = this.image.data;
    const step = dx * 3;
    let o = (this.y * width + x0) * 3;
    const bytes = depth === 16 ? 2 : 1;
    if (colour === RGB && depth === 8 && dx === 1) {
      out.set(row, o);
      return;
    }
    if (colour === RGB || colour === RGBA) {
      for (let i = 0; i < row.length; i += channels * bytes, o += step) {
        out[o] = row[i]!;
        out[o + 1] = row[i + bytes]!;
        out[o + 2] = row[i + 2 * bytes]!;
      }
      return;
    }
    if (colour === PALETTE) {
      const entries = palette!.length / 3;
      for (let x = 0; x < columns; x++, o += step) {
        const index = depth === 8 ? row[x]! : packed(row, x, depth);
        if (index >= entries) {
          throw new BadImageError(
            this.name,
            `pixel value ${index} is outside the palette of ${entries}`,
            COPY_AGAIN,
          );
        }
        out.set(palette!.subarray(index * 3, index * 3 + 3), o);
      }
      return;
    }
    const stretch = depth < 8 ? 255 / (2 ** depth - 1) : 1;
    for (let x = 0, i = 0; x < columns; x++, i += channels * bytes, o += step) {
      const v = depth < 8 ? packed(row, x, depth) * stretch : row[i]!;
      out[o] = v;
      out[o + 1] = v;
      out[o + 2] = v;
    }
  }
}

/** Sample x of a row with 1, 2 or 4 bits a sample, highest bits first. */
function packed(row: Uint8Array, x: number, depth: number): number {
  const bit = x * depth;
  return (row[bit >> 3]! >> (8 - depth - (bit & 7))) & (2 ** depth - 1);
}

/** Section 9 of the Recommendation, in place. */
function unfilter(filter: number, row: Uint8Array, previous: Uint8Array, back: number): void {
  const n = row.length;
  if (filter === 1) {
    for (let i = back; i < n; i++) row[i] = row[i]! + row[i - back]!;
  } else if (filter === 2) {
    for (let i = 0; i < n; i++) row[i] = row[i]! + previous[i]!;
  } else if (filter === 3) {
    for (let i = 0; i < n; i++) row[i] = row[i]! + (((i < back ? 0 : row[i - back]!) + previous[i]!) >> 1);
  } else if (filter === 4) {
    for (let i = 0; i < n; i++) {
      const a = i < back ? 0 : row[i - back]!;
      const b = previous[i]!;
      const c = i < back ? 0 : previous[i - back]!;
      const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
      row[i] = row[i]! + (pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
    }
  }
}
