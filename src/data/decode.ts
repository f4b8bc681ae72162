/**
 * From the bytes of an image file to RGB. PNG, BMP, DICOM and NIfTI are decoded here, the same everywhere; for JPEG, WebP and
 * TIFF the platform lends a codec, which is called only after format, size and structure were checked.
 */
import { BadImageError } from '../runtime/errors';
import { type CodecInput, type Decoders, runCodec } from './codec';
import { decodeBmp } from './formats/bmp';
import { readJpeg } from './formats/jpeg';
import { decodePng } from './formats/png';
import { describeForeign, sniffFormat } from './formats/sniff';
import { readTiff } from './formats/tiff';
import { readWebp } from './formats/webp';
import type { RgbImage } from './image';
import { checkByteLength, type DecodeLimits, type DecodeOptions, defaultDecodeLimits } from './limits';
import { onlySlice, openVolume } from './volume';

/**
 * @param bytes the whole file. @param name what messages call it.
 * @throws BadImageError naming the file, what is wrong with it and what to do.
 */
export async function decodeWith(
  decoders: Decoders,
  bytes: Uint8Array,
  name: string,
  options: DecodeOptions = {},
): Promise<RgbImage> {
  const full = { ...defaultDecodeLimits, ...options };
  checkByteLength(name, bytes.length, full);
  const own = ownBuffer(bytes);
  const format = sniffFormat(own);
  if (format === null) {
    const { what, remedy } = describeForeign(own);
    throw new BadImageError(name, `this is ${what}`, remedy);
  }
  if (format === 'dicom' || format === 'nifti') {
    return onlySlice(
      await openVolume(decoders, own, name, { limits: full, mask: options.mask === true }),
      name,
    );
  }
  if (format === 'png') return decodePng(own, name, full, decoders.inflate);
  if (format === 'bmp') return decodeBmp(own, name, full);
  const input = inspect(format, own, name, full);
  return runCodec(decoders.codec, input, full);
}

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
