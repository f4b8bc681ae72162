/**
 * From the bytes of an image file to RGB. PNG and BMP are decoded here, the same everywhere; for JPEG, WebP and TIFF the
 * platform lends a codec, which is called only after format, size and structure were checked.
 */
import { BadImageError, MlaLpError } from '../runtime/errors';
import { decodeBmp } from './formats/bmp';
import { readJpeg } from './formats/jpeg';
import { decodePng, type Inflate } from './formats/png';
import { describeForeign, sniffFormat } from './formats/sniff';
import { readTiff } from './formats/tiff';
import { readWebp } from './formats/webp';
import type { RgbImage } from './image';
import { checkByteLength, type DecodeLimits, defaultDecodeLimits } from './limits';

/** A picture that was checked and awaits a platform's codec. */
export interface CodecInput {
  /** What messages call it. */
  readonly name: string;
  readonly format: 'jpeg' | 'webp' | 'tiff';
  /** JPEG: without metadata segments. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
  /** Four inks (JPEG, TIFF): the codec must deliver RGB = (255 - ink) * (255 - black) / 255. */
  readonly cmyk: boolean;
}

/** Decodes to RGB without turning by EXIF, colour management or blending; rejects rather than give part of a picture. */
export type Codec = (input: CodecInput, limits: DecodeLimits) => Promise<RgbImage>;

/** What a platform lends. */
export interface Decoders {
  readonly codec: Codec;
  /** A faster zlib than the portable one. */
  readonly inflate?: Inflate;
}

/**
 * @param bytes the whole file. @param name what messages call it.
 * @throws BadImageError naming the file, what is wrong with it and what to do.
 */
export async function decodeWith(
  { codec, inflate }: Decoders,
  bytes: Uint8Array,
  name: string,
  limits: Partial<DecodeLimits> = {},
): Promise<RgbImage> {
  const full = { ...defaultDecodeLimits, ...limits };
  checkByteLength(name, bytes.length, full);
  const own = ownBuffer(bytes);
  const format = sniffFormat(own);
  if (format === null) {
    const { what, remedy } = describeForeign(own);
    throw new BadImageError(name, `this is ${what}`, remedy);
  }
  if (format === 'png') return decodePng(own, name, full, inflate);
  if (format === 'bmp') return decodeBmp(own, name, full);
  const input = inspect(format, own, name, full);
  const image = await withDeadline(codec(input, full), name, full).catch((cause: unknown) => {
    if (cause instanceof MlaLpError) throw cause;
    throw new BadImageError(name, `the ${names[format]} cannot be decoded (${reason(cause)})`, undefined, {
      cause,
    });
  });
  if (image.width !== input.width || image.height !== input.height) {
    throw new BadImageError(
      name,
      `the header says ${input.width} x ${input.height} pixels, the picture has ${image.width} x ${image.height}`,
    );
  }
  return image;
}

const names = { jpeg: 'JPEG', webp: 'WebP', tiff: 'TIFF' } as const;

function inspect(
  format: CodecInput['format'],
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
  limits: DecodeLimits,
): CodecInput {
  if (format === 'jpeg') {
    const { width, height, components, stripped } = readJpeg(bytes, name, limits);
    return { name, format, bytes: stripped, width, height, cmyk: components === 4 };
  }
  if (format === 'tiff') {
    const { width, height, cmyk } = readTiff(bytes, name, limits);
    return { name, format, bytes, width, height, cmyk };
  }
  return { name, format, bytes, ...readWebp(bytes, name, limits), cmyk: false };
}

/** Codecs and Blob want a plain ArrayBuffer; a view of a shared one is copied. */
function ownBuffer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : Uint8Array.from(bytes);
}

async function withDeadline<T>(work: Promise<T>, name: string, limits: DecodeLimits): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new BadImageError(name, `decoding took over ${limits.timeoutMs / 1000} s`)),
      limits.timeoutMs,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A codec's own words, cut to one short line of plain characters: no text of the file's may ride along. */
function reason(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  const [line = ''] = text.split('\n');
  return line
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, 100)
    .replace(/\.+$/, '');
}
