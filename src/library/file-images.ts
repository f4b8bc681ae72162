import type { RgbImage } from '../data/image';
import { BadImageError } from '../runtime/errors';
import type { Platform } from './platform';

interface Decoders {
  /** Reads and decodes a file. */
  readImage(path: string): Promise<RgbImage>;
  decodeImage(bytes: Uint8Array, name: string): Promise<RgbImage>;
}

/** `Platform.readImage` where images are files or bytes: Node and Deno have no ImageData or ImageBitmap to read. */
export function fileImages({ readImage, decodeImage }: Decoders): Platform['readImage'] {
  return async (input, name) => {
    if (typeof input === 'string') return readImage(input);
    if (input instanceof Uint8Array) return decodeImage(input, name);
    if (input instanceof Blob) return decodeImage(new Uint8Array(await input.arrayBuffer()), name);
    throw new BadImageError(
      name,
      'only a browser can read an ImageData or ImageBitmap',
      'Give a path, bytes or { width, height, data }.',
    );
  };
}
