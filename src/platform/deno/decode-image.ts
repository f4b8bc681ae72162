/**
 * Image decoding in Deno. It has no canvas to read pixels from, so PNG and BMP go through our own decoders and the rest
 * through sharp, when it is installed and may load native code.
 */
import type { Codec, Decoders } from '../../data/codec';
import { decodeWith } from '../../data/decode';
import type { RgbImage } from '../../data/image';
import type { DecodeOptions } from '../../data/limits';
import { BadImageError } from '../../runtime/errors';
import { readFileBytes } from '../node/decode-image';
import { loadJpeg2000 } from '../node/jpeg2000';
import { decodeWithSharp } from '../node/sharp-codec';

/**
 * PNG, BMP, DICOM and NIfTI; JPEG, WebP and TIFF where npm's sharp can be loaded. The same pixels as in Node.
 * @param bytes the whole file. @param name what messages call it.
 * @throws BadImageError naming the file, what is wrong and what to do.
 */
export function decodeImage(bytes: Uint8Array, name: string, options?: DecodeOptions): Promise<RgbImage> {
  return decodeWith(decoders, bytes, name, options);
}

/** Reads and decodes an image file; its size is checked before it is read. */
export async function readImage(path: string, options: DecodeOptions = {}): Promise<RgbImage> {
  return decodeImage(await readFileBytes(path, options), path, options);
}

const sharpIfAllowed: Codec = async (input, limits) => {
  try {
    await import('sharp');
  } catch (cause) {
    throw new BadImageError(
      input.name,
      `a ${input.format.toUpperCase()} needs the package sharp in Deno, and it cannot be loaded`,
      'Add it (deno add npm:sharp) and allow it (--allow-ffi --allow-env --allow-read --allow-sys), or convert the image to PNG.',
      { cause },
    );
  }
  return decodeWithSharp(input, limits);
};

/** What Deno lends to decoding. */
export const decoders: Decoders = { codec: sharpIfAllowed, jpeg2000: loadJpeg2000 };
