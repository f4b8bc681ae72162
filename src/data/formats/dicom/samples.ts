/** From a frame's bytes to its samples, whatever compressed them. */
import { BadImageError, MlaLpError } from '../../../runtime/errors';
import { codecReason, type Decoders, type Jpeg2000Decoder, runCodec } from '../../codec';
import { COPY_AGAIN, type DecodeLimits } from '../../limits';
import { readJpeg } from '../jpeg';
import type { DicomImage } from './image';
import { decodeJpeg, jpegMode } from './jpeg';
import { decodeJpegLs } from './jpeg-ls';
import { decodeRle } from './rle';

/** Integer samples of one frame. */
export interface Samples {
  /** Stored values: sign extended, unused bits gone. [rows][columns][samples], or [samples][rows][columns] if planar. */
  readonly values: Uint8Array | Uint16Array | Int32Array | Float64Array;
  readonly planar: boolean;
  /** Colour that a decoder has turned into RGB already. */
  readonly rgb: boolean;
  /** Chroma is shared by pairs of pixels: Y Y Cb Cr. */
  readonly subsampled?: boolean;
}

export class FrameReader {
  #decoder: Promise<Jpeg2000Decoder> | undefined;

  constructor(
    private readonly image: DicomImage,
    private readonly locate: (frame: number) => Uint8Array<ArrayBuffer>,
    private readonly decoders: Decoders,
    private readonly name: string,
    private readonly limits: DecodeLimits,
  ) {}

  /** @throws BadImageError */
  async read(frame: number): Promise<Samples> {
    const { image } = this;
    const bytes = this.locate(frame);
    switch (image.encoding) {
      case 'native':
        return image.allocated === 1
          ? this.#bits(bytes, frame)
          : this.#stored(bytes, image.little, image.planar);
      case 'rle': {
        const { rows, columns, samples, allocated } = image;
        const planes = decodeRle(bytes, rows * columns, samples, allocated / 8, this.name);
        return { ...this.#stored(planes, true, true), subsampled: false };
      }
      case 'jpeg':
        return this.#jpeg(bytes);
      case 'jpeg-lossless':
        return this.#own(decodeJpeg, bytes);
      case 'jpeg-ls':
        return this.#own(decodeJpegLs, bytes);
      case 'jpeg-2000':
        return this.#jpeg2000(bytes);
    }
  }

  /** One bit a pixel, lowest bit first; frames follow each other without a gap (PS3.5, annex D). */
  #bits(bytes: Uint8Array, frame: number): Samples {
    const pixels = this.image.rows * this.image.columns;
    const from = frame * pixels;
    const values = Uint8Array.from(
      { length: pixels },
      (_, i) => (bytes[(from + i) >> 3]! >> ((from + i) & 7)) & 1,
    );
    return { values, planar: false, rgb: false };
  }

  /** Containers of 8, 16 or 32 bits. */
  #stored(bytes: Uint8Array<ArrayBuffer>, little: boolean, planar: boolean): Samples {
    const { allocated, photometric } = this.image;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let raw: Uint8Array | Uint16Array | Float64Array;
    if (allocated === 8) raw = bytes;
    else if (allocated === 16) {
      raw = new Uint16Array(bytes.length >> 1);
      for (let i = 0; i < raw.length; i++) raw[i] = view.getUint16(2 * i, little);
    } else {
      raw = new Float64Array(bytes.length >> 2);
      for (let i = 0; i < raw.length; i++) raw[i] = view.getUint32(4 * i, little);
    }
    return { values: this.#used(raw), planar, rgb: false, subsampled: photometric === 'YBR_FULL_422' };
  }

  /** The used bits of each container, with their sign. */
  #used<T extends Uint8Array | Uint16Array | Float64Array>(raw: T): T | Int32Array | Float64Array {
    const { allocated, stored, highBit, signed } = this.image;
    if (!signed && stored === allocated) return raw;
    const shift = highBit + 1 - stored;
    // Arithmetic: 32-bit containers do not fit the bit operators.
    const span = 2 ** stored;
    const half = signed ? span / 2 : span;
    const values = allocated === 32 ? new Float64Array(raw.length) : new Int32Array(raw.length);
    for (let i = 0; i < raw.length; i++) {
      const value = (shift === 0 ? raw[i]! : Math.floor(raw[i]! / 2 ** shift)) % span;
      values[i] = value >= half ? value - span : value;
    }
    return values;
  }

  /** Baseline and extended: 8 bits through the platform, more here. */
  async #jpeg(bytes: Uint8Array<ArrayBuffer>): Promise<Samples> {
    const { name, image, limits } = this;
    if ((jpegMode(bytes)?.precision ?? 8) !== 8) return this.#own(decodeJpeg, bytes);
    const { width, height, components, stripped } = readJpeg(withEndMark(bytes), name, limits);
    if (width !== image.columns || height !== image.rows || components !== image.samples) {
      throw this.#mismatch(`${width} x ${height} pixels of ${components} samples`);
    }
    // Without an Adobe mark decoders guess the colours; DICOM knows them.
    const marked = components === 1 ? stripped : withColourMark(stripped, image.photometric !== 'RGB');
    const input = { name, format: 'jpeg' as const, bytes: marked, width, height, cmyk: false };
    const { data } = await runCodec(this.decoders.codec, input, limits);
    if (components === 3) return { values: data, planar: false, rgb: true };
    const gray = new Uint8Array(width * height);
    for (let i = 0; i < gray.length; i++) gray[i] = data[3 * i]!;
    return { values: this.#used(gray), planar: false, rgb: false };
  }

  #own(decode: typeof decodeJpeg, bytes: Uint8Array<ArrayBuffer>): Samples {
    const { columns: width, rows: height, samples: components, allocated: bits } = this.image;
    const values = this.#used(decode(bytes, { width, height, components, bits }, this.name));
    return { values, planar: false, rgb: false };
  }

  async #jpeg2000(bytes: Uint8Array<ArrayBuffer>): Promise<Samples> {
    const { image, name } = this;
    const shape = streamShape(bytes);
    if (!shape)
      throw new BadImageError(name, 'the JPEG 2000 inside has no header that is known here', COPY_AGAIN);
    const { width, height, components, bits } = shape;
    // Before the decoder takes memory for what the stream claims.
    if (
      width !== image.columns ||
      height !== image.rows ||
      components !== image.samples ||
      bits > image.allocated
    ) {
      throw this.#mismatch(`${width} x ${height} pixels of ${components} samples with ${bits} bits`);
    }
    const decode = await this.#loadJpeg2000();
    const frame = attempt(
      () => decode(bytes),
      (cause) => {
        // Whatever state it is in, another stream shall not meet it.
        this.#decoder = undefined;
        const reason = typeof cause === 'number' ? 'damaged' : codecReason(cause);
        return new BadImageError(name, `the JPEG 2000 inside cannot be decoded (${reason})`, COPY_AGAIN, {
          cause,
        });
      },
    );
    const wide = frame.bits > 8;
    const expected = width * height * components * (wide ? 2 : 1);
    if (frame.width !== width || frame.height !== height || frame.bytes.length !== expected) {
      throw new BadImageError(name, 'the JPEG 2000 inside is damaged', COPY_AGAIN);
    }
    let raw: Uint8Array | Uint16Array = frame.bytes;
    if (wide) {
      const view = new DataView(frame.bytes.buffer);
      raw = new Uint16Array(width * height * components);
      for (let i = 0; i < raw.length; i++) raw[i] = view.getUint16(2 * i, true);
    }
    // The decoder undoes the colour transform that a code stream declares.
    const rgb = components === 3 && !image.photometric.startsWith('YBR_FULL');
    return { values: this.#used(raw), planar: false, rgb };
  }

  async #loadJpeg2000(): Promise<Jpeg2000Decoder> {
    const { jpeg2000 } = this.decoders;
    if (!jpeg2000) {
      throw new BadImageError(
        this.name,
        'its pixels are JPEG 2000, which cannot be decoded here',
        'In a browser give the page a decoder (useOpenJpeg), or unpack the file (gdcmconv --raw).',
      );
    }
    this.#decoder ??= jpeg2000();
    return this.#decoder.catch((cause: unknown) => {
      this.#decoder = undefined;
      throw new BadImageError(
        this.name,
        `its pixels are JPEG 2000, and the package ${JPEG2000_PACKAGE} that decodes them cannot be loaded`,
        `Install it (npm install ${JPEG2000_PACKAGE}); in a page, look at the URL of its wasm and allow wasm-unsafe-eval. Or unpack the file (gdcmconv --raw).`,
        { cause },
      );
    });
  }

  #mismatch(inside: string): BadImageError {
    const { columns, rows, samples } = this.image;
    return new BadImageError(
      this.name,
      `its header says ${columns} x ${rows} pixels of ${samples} samples, the picture inside has ${inside}`,
      COPY_AGAIN,
    );
  }
}

const JPEG2000_PACKAGE = '@cornerstonejs/codec-openjpeg';

function attempt<T>(work: () => T, explain: (cause: unknown) => Error): T {
  try {
    return work();
  } catch (cause) {
    throw cause instanceof MlaLpError ? cause : explain(cause);
  }
}

/** Some writers leave the end mark out or fill up with zeros; the number of rows says where the picture ends. */
function withEndMark(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  let end = bytes.length;
  while (end > 2 && bytes[end - 1] === 0) end--;
  return bytes.subarray(0, end);
}

/** Puts an Adobe segment in front, which says whether three components are YCbCr or RGB; one that is there counts. */
function withColourMark(jpeg: Uint8Array<ArrayBuffer>, ycc: boolean): Uint8Array<ArrayBuffer> {
  // A JFIF segment says YCbCr by itself, and what wrote it knew.
  if (jpeg[2] === 0xff && (jpeg[3] === 0xe0 || jpeg[3] === 0xee)) return jpeg;
  const mark = [0xff, 0xee, 0, 14, 0x41, 0x64, 0x6f, 0x62, 0x65, 0, 100, 0, 0, 0, 0, ycc ? 1 : 0];
  const out = new Uint8Array(jpeg.length + mark.length);
  out.set(jpeg.subarray(0, 2));
  out.set(mark, 2);
  out.set(jpeg.subarray(2), 2 + mark.length);
  return out;
}

interface StreamShape {
  readonly width: number;
  readonly height: number;
  readonly components: number;
  readonly bits: number;
}

/** What the header of a JPEG 2000 code stream claims (ITU-T T.800, A.5.1), without decoding. */
function streamShape(bytes: Uint8Array): StreamShape | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 45 || view.getUint32(0) !== 0xff4fff51) return undefined;
  const [x1, y1, x0, y0, tileX, tileY] = [8, 12, 16, 20, 24, 28].map((at) => view.getUint32(at)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const components = view.getUint16(40);
  if (components < 1 || bytes.length < 42 + 3 * components) return undefined;
  let bits = 0;
  for (let c = 0; c < components; c++) {
    const [depth, dx, dy] = bytes.subarray(42 + 3 * c, 45 + 3 * c) as unknown as number[];
    bits = Math.max(bits, (depth! & 127) + 1);
    // Subsampled components are no DICOM.
    if (dx !== 1 || dy !== 1) return undefined;
  }
  // Tiny tiles cost more than their pixels.
  const tiles = Math.ceil(x1 / tileX) * Math.ceil(y1 / tileY);
  return tiles <= MAX_TILES ? { width: x1 - x0, height: y1 - y0, components, bits } : undefined;
}

const MAX_TILES = 65_535;
