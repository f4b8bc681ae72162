import type { RgbImage } from '../data/image';
import type { DecodeOptions } from '../data/limits';
import { BadImageError } from '../runtime/errors';
import type { Platform } from './platform';

interface Decoders {
  /** Reads and decodes a file. */
  readImage(path: string, options?: DecodeOptions): Promise<RgbImage>;
  decodeImage(bytes: Uint8Array, name: string, options?: DecodeOptions): Promise<RgbImage>;
}

/** `Platform.readImage` where images are files or bytes: Node and Deno have no ImageData or ImageBitmap to read. */
export function fileImages({ readImage, decodeImage }: Decoders): Platform['readImage'] {
  return async (input, name, options) => {
    if (typeof input === 'string') return readImage(input, options);
    if (input instanceof Uint8Array) return decodeImage(input, name, options);
    if (input instanceof Blob) return decodeImage(new Uint8Array(await input.arrayBuffer()), name, options);
    throw new BadImageError(
      name,
      'only a browser can read an ImageData or ImageBitmap',
      'Give a path, bytes or { width, height, data }.',
    );
  };
}
