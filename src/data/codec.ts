/** What a platform lends for decoding, and how it is called. */
import { BadImageError, MlaLpError } from '../runtime/errors';
import type { Inflate } from './formats/png';
import type { RgbImage } from './image';
import type { DecodeLimits } from './limits';

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

/** Samples as a code stream has them: one byte each up to 8 bits, else two, little-endian; by pixel. */
export interface DecodedFrame {
  readonly width: number;
  readonly height: number;
  readonly bits: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Throws on a damaged or cut-off stream. */
export type Jpeg2000Decoder = (stream: Uint8Array) => DecodedFrame;

/** What a platform lends. */
export interface Decoders {
  readonly codec: Codec;
  /** A faster zlib than the portable one. */
  readonly inflate?: Inflate;
  /** JPEG 2000 and HTJ2K, for DICOM: a decoder that is large and optional. Rejects where it cannot be loaded. */
  jpeg2000?: () => Promise<Jpeg2000Decoder>;
}

const names = { jpeg: 'JPEG', webp: 'WebP', tiff: 'TIFF' } as const;

/** Runs a codec within the time limit. @throws BadImageError, also when the picture has not the size of its header. */
export async function runCodec(codec: Codec, input: CodecInput, limits: DecodeLimits): Promise<RgbImage> {
  const { name, format } = input;
  const image = await withDeadline(codec(input, limits), name, limits).catch((cause: unknown) => {
    if (cause instanceof MlaLpError) throw cause;
    throw new BadImageError(
      name,
      `the ${names[format]} cannot be decoded (${codecReason(cause)})`,
      undefined,
      {
        cause,
      },
    );
  });
  if (image.width !== input.width || image.height !== input.height) {
    throw new BadImageError(
      name,
      `the header says ${input.width} x ${input.height} pixels, the picture has ${image.width} x ${image.height}`,
    );
  }
  return image;
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
export function codecReason(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  const [line = ''] = text.split('\n');
  return line
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, 100)
    .replace(/\.+$/, '');
}
