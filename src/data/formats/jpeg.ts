/**
 * Walks a JPEG's markers (ITU-T T.81, annex B) without decoding: its size, whether it is whole, and a copy without
 * metadata. Names, places and colour profiles in APPn and COM segments never reach a decoder.
 */
import { BadImageError } from '../../runtime/errors';
import { COPY_AGAIN, checkDimensions, type DecodeLimits } from '../limits';

export interface JpegHeader {
  readonly width: number;
  readonly height: number;
  /** 1 gray, 3 colour, 4 CMYK or YCCK. */
  readonly components: number;
  /** The file with JFIF and Adobe segments only (the decoder needs them for colours) and nothing after the end marker. */
  readonly stripped: Uint8Array<ArrayBuffer>;
}

/** A progressive photograph has about ten scans; each one costs a pass over the picture. */
const MAX_SCANS = 100;
/** The longest metadata takes some hundred, 64 KiB each. */
const MAX_SEGMENTS = 10_000;

const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;
const APP0 = 0xe0;
const APP14 = 0xee;
const COM = 0xfe;

/** @throws BadImageError when the file is cut off, out of order, over the limits, or of a mode decoders lack. */
export function readJpeg(bytes: Uint8Array<ArrayBuffer>, name: string, limits: DecodeLimits): JpegHeader {
  const bad = (detail: string, remedy = COPY_AGAIN) => new BadImageError(name, detail, remedy);
  /** Start and end of what is kept; neighbours are one range. */
  const keep: [number, number][] = [[0, 2]];
  const keepRange = (from: number, to: number) => {
    const last = keep[keep.length - 1]!;
    if (last[1] === from) last[1] = to;
    else keep.push([from, to]);
  };
  let segments = 0;
  let frame: Omit<JpegHeader, 'stripped'> | null = null;
  let scans = 0;
  for (let at = 2; ; ) {
    if (at >= bytes.length) throw bad('the JPEG ends without its end marker');
    if (bytes[at] !== 0xff) throw bad(`no JPEG marker stands at byte ${at}`);
    while (bytes[at + 1] === 0xff) at++;
    const marker = bytes[at + 1];
    if (marker === undefined) throw bad('the JPEG ends inside a marker');
    if (marker === EOI) {
      keepRange(at, at + 2);
      break;
    }
    if (++segments > MAX_SEGMENTS) {
      throw bad(`the JPEG has over ${MAX_SEGMENTS} segments`, 'Convert it to PNG with a tool you trust.');
    }
    if (marker === SOI || marker === 0 || (marker >= 0xd0 && marker <= 0xd7)) {
      throw bad(`JPEG marker ${hex(marker)} at byte ${at} is out of place`);
    }
    // Only 0x01 (TEM) stands alone here.
    const length = marker === 1 ? 0 : ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    let end = at + 2 + length;
    if ((marker !== 1 && length < 2) || end > bytes.length) {
      throw bad(`JPEG segment ${hex(marker)} at byte ${at} runs past the end of the file`);
    }
    if (isFrame(marker)) {
      if (frame) throw bad('the JPEG has two frame headers');
      frame = readFrame(bytes.subarray(at + 4, end), marker, name);
      checkDimensions(name, frame.width, frame.height, limits);
    } else if (marker === SOS) {
      if (!frame) throw bad('the JPEG has a scan before its frame header');
      if (++scans > MAX_SCANS)
        throw bad(`the JPEG has over ${MAX_SCANS} scans`, 'Convert it to PNG with a tool you trust.');
      end = entropyEnd(bytes, end);
    }
    const metadata = marker === COM || (marker > APP0 && marker <= 0xef && marker !== APP14);
    if (!metadata) keepRange(at, end);
    at = end;
  }
  if (!frame || scans === 0) throw bad('the JPEG holds no picture');
  return { ...frame, stripped: concatenate(keep.map(([from, to]) => bytes.subarray(from, to))) };
}

/** SOF0 to SOF15 without DHT (C4), JPG (C8) and DAC (CC). */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

function readFrame(body: Uint8Array, marker: number, name: string): Omit<JpegHeader, 'stripped'> {
  // Baseline, extended and progressive, Huffman or arithmetic; not lossless, hierarchical.
  if (![0xc0, 0xc1, 0xc2, 0xc9, 0xca].includes(marker)) {
    throw new BadImageError(name, `JPEG mode ${hex(marker)} (lossless or hierarchical) is not supported`);
  }
  const [precision, h1, h0, w1, w0, components] = body as unknown as number[];
  if (body.length < 6 || body.length !== 6 + 3 * components!) {
    throw new BadImageError(name, 'the JPEG frame header has a wrong length', COPY_AGAIN);
  }
  if (precision !== 8) throw new BadImageError(name, `JPEG with ${precision} bits a sample is not supported`);
  if (components !== 1 && components !== 3 && components !== 4) {
    throw new BadImageError(name, `JPEG with ${components} colour components is not supported`);
  }
  return { width: (w1! << 8) | w0!, height: (h1! << 8) | h0!, components };
}

/** First marker after entropy-coded data: 0xff not followed by a stuffed zero or a restart marker. */
function entropyEnd(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(0xff, from); at >= 0; at = bytes.indexOf(0xff, at)) {
    const next = bytes[at + 1];
    if (next === undefined) break;
    if (next !== 0 && next !== 0xff && (next < 0xd0 || next > 0xd7)) return at;
    at += next === 0xff ? 1 : 2;
  }
  return bytes.length;
}

function concatenate(parts: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function hex(marker: number): string {
  return `0xff${marker.toString(16).padStart(2, '0')}`;
}
