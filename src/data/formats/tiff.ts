/**
 * The first page of a TIFF (TIFF 6.0, BigTIFF): its size and sample layout, and that every strip or tile it names lies in
 * the file. Values are checked here so that no decoder follows a loop or allocates for a lie.
 */
import { BadImageError } from '../../runtime/errors';
import { COPY_AGAIN, checkDimensions, type DecodeLimits } from '../limits';

export interface TiffHeader {
  readonly width: number;
  readonly height: number;
  readonly bitsPerSample: number;
  readonly samplesPerPixel: number;
  /** Inks instead of light: photometric interpretation 5. */
  readonly cmyk: boolean;
}

const WIDTH = 256;
const HEIGHT = 257;
const BITS_PER_SAMPLE = 258;
const PHOTOMETRIC = 262;
const STRIP_OFFSETS = 273;
const SAMPLES_PER_PIXEL = 277;
const ROWS_PER_STRIP = 278;
const STRIP_BYTES = 279;
const PLANAR = 284;
const TILE_WIDTH = 322;
const TILE_HEIGHT = 323;
const TILE_OFFSETS = 324;
const TILE_BYTES = 325;
const SAMPLE_FORMAT = 339;
const usedTags = new Set([
  WIDTH,
  HEIGHT,
  BITS_PER_SAMPLE,
  PHOTOMETRIC,
  STRIP_OFFSETS,
  SAMPLES_PER_PIXEL,
  ROWS_PER_STRIP,
  STRIP_BYTES,
  PLANAR,
  TILE_WIDTH,
  TILE_HEIGHT,
  TILE_OFFSETS,
  TILE_BYTES,
  SAMPLE_FORMAT,
]);

/** Where the values of a tag lie; they are read one by one when needed, as a file may name millions of them. */
interface Values {
  readonly count: number;
  at(i: number): number;
}

/** Bytes of BYTE, SHORT, LONG, LONG8 and friends; other types are never read here. */
const integerBytes = new Map([
  [1, 1],
  [3, 2],
  [4, 4],
  [13, 4],
  [16, 8],
  [18, 8],
]);
/** Gray either way round, RGB, palette, CMYK, YCbCr; not masks or Lab. */
const photometrics = [0, 1, 2, 3, 5, 6];
const CMYK = 5;
const MAX_PAGES = 65_536;

/** @throws BadImageError on loops, offsets outside the file, unsupported samples, or sizes over the limits. */
export function readTiff(bytes: Uint8Array, name: string, limits: DecodeLimits): TiffHeader {
  const reader = new TiffReader(bytes, name);
  reader.checkPages();
  const tags = reader.firstPage();
  const one = (tag: number, absent?: number): number => {
    const values = tags.get(tag);
    const value = values && values.count > 0 ? values.at(0) : absent;
    if (value === undefined) throw new BadImageError(name, `the TIFF lacks tag ${tag}`, COPY_AGAIN);
    return value;
  };
  const [width, height] = [one(WIDTH), one(HEIGHT)];
  checkDimensions(name, width, height, limits);
  const samplesPerPixel = one(SAMPLES_PER_PIXEL, 1);
  if (samplesPerPixel < 1 || samplesPerPixel > 5) {
    throw new BadImageError(name, `TIFF with ${samplesPerPixel} samples a pixel is not supported`);
  }
  const bitsPerSample = one(BITS_PER_SAMPLE, 1);
  if (![1, 2, 4, 8, 16].includes(bitsPerSample)) {
    throw new BadImageError(name, `TIFF with ${bitsPerSample} bits a sample is not supported`, EIGHT_BIT);
  }
  if (one(SAMPLE_FORMAT, 1) !== 1) {
    throw new BadImageError(name, 'TIFF with signed or floating-point samples is not supported', EIGHT_BIT);
  }
  const photometric = one(PHOTOMETRIC, 1);
  if (!photometrics.includes(photometric)) {
    throw new BadImageError(name, `TIFF with photometric interpretation ${photometric} is not supported`);
  }
  const planes = one(PLANAR, 1) === 2 ? samplesPerPixel : 1;
  const tiled = tags.has(TILE_OFFSETS);
  const rows = tiled ? one(TILE_HEIGHT) : Math.min(one(ROWS_PER_STRIP, height), height);
  const columns = tiled ? one(TILE_WIDTH) : width;
  if (rows < 1 || columns < 1)
    throw new BadImageError(name, 'the TIFF has strips or tiles of no size', COPY_AGAIN);
  // A tile may overhang the picture, but no further than a small picture in one tile of the usual sizes.
  checkDimensions(name, columns, rows, limits);
  const blocks = Math.ceil(width / columns) * Math.ceil(height / rows) * planes;
  const offsets = tags.get(tiled ? TILE_OFFSETS : STRIP_OFFSETS);
  const lengths = tags.get(tiled ? TILE_BYTES : STRIP_BYTES);
  const named = Math.min(offsets?.count ?? 0, lengths?.count ?? 0);
  if (!offsets || !lengths || named < blocks) {
    throw new BadImageError(name, `the TIFF names ${named} of ${blocks} strips or tiles`, COPY_AGAIN);
  }
  for (let i = 0; i < blocks; i++) {
    if (offsets.at(i) + lengths.at(i) > bytes.length) {
      throw new BadImageError(name, `strip or tile ${i} of the TIFF lies outside the file`, COPY_AGAIN);
    }
  }
  return { width, height, bitsPerSample, samplesPerPixel, cmyk: photometric === CMYK };
}

const EIGHT_BIT = 'Convert it to 8- or 16-bit unsigned samples.';

class TiffReader {
  private readonly view: DataView;
  private readonly little: boolean;
  private readonly big: boolean;
  private readonly first: number;

  constructor(
    bytes: Uint8Array,
    private readonly name: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.little = bytes[0] === 0x49;
    this.big = bytes[2] === 43 || bytes[3] === 43;
    if (this.big && this.integer(4, 2) !== 8) throw this.bad('the BigTIFF has offsets of an unknown size');
    this.first = this.big ? this.integer(8, 8) : this.integer(4, 4);
    if (this.first === 0) throw this.bad('the TIFF holds no picture');
  }

  /** Follows the chain of pages to its end. */
  checkPages(): void {
    const seen = new Set<number>();
    for (let at = this.first; at !== 0; at = this.next(at)) {
      if (seen.has(at)) throw this.bad('the pages of the TIFF form a loop');
      if (seen.size >= MAX_PAGES) throw this.bad(`the TIFF has over ${MAX_PAGES} pages`);
      seen.add(at);
    }
  }

  /** The used tags of the first page, where they are integers; nothing of the others is read. */
  firstPage(): Map<number, Values> {
    const tags = new Map<number, Values>();
    const seen = new Set<number>();
    const { entries, start, size } = this.directory(this.first);
    for (let e = 0; e < entries; e++) {
      const at = start + e * size;
      const tag = this.integer(at, 2);
      if (!usedTags.has(tag)) continue;
      // Which of the two counts is up to the decoder, so what was checked here might not be what it reads.
      if (seen.has(tag)) throw this.bad(`the TIFF gives tag ${tag} twice`);
      seen.add(tag);
      const bytes = integerBytes.get(this.integer(at + 2, 2));
      if (bytes === undefined) continue;
      const inline = this.big ? 8 : 4;
      const count = this.integer(at + 4, inline);
      const from = count * bytes <= inline ? at + 4 + inline : this.integer(at + 4 + inline, inline);
      if (from + count * bytes > this.view.byteLength)
        throw this.bad(`tag ${tag} of the TIFF lies outside the file`);
      tags.set(tag, { count, at: (i) => this.integer(from + i * bytes, bytes) });
    }
    return tags;
  }

  private directory(at: number): { entries: number; start: number; size: number } {
    const counter = this.big ? 8 : 2;
    const entries = this.integer(at, counter);
    const size = this.big ? 20 : 12;
    if (entries < 1 || entries > 65_535 || at + counter + entries * size > this.view.byteLength) {
      throw this.bad('a directory of the TIFF lies outside the file');
    }
    return { entries, start: at + counter, size };
  }

  private next(at: number): number {
    const { entries, start, size } = this.directory(at);
    return this.integer(start + entries * size, this.big ? 8 : 4);
  }

  private integer(at: number, bytes: number): number {
    if (at + bytes > this.view.byteLength) throw this.bad('the TIFF ends inside its directory');
    if (bytes === 1) return this.view.getUint8(at);
    if (bytes === 2) return this.view.getUint16(at, this.little);
    if (bytes === 4) return this.view.getUint32(at, this.little);
    // Exact up to 2^53; anything above lies outside every file.
    return Number(this.view.getBigUint64(at, this.little));
  }

  private bad(detail: string): BadImageError {
    return new BadImageError(this.name, detail, COPY_AGAIN);
  }
}
