/** mla-lp in Node: Dawn through the package webgpu, sharp for image codecs, both loaded when first needed. */
import type { RgbImage } from '../data/image';
import { fileBytes } from '../io/node/file-bytes';
import { acquireAdapter } from '../platform/node/adapter';
import { decodeImage, readImage } from '../platform/node/decode-image';
import { BadImageError } from '../runtime/errors';
import { setPlatform } from './platform';

export * from './index';

setPlatform({
  acquireAdapter,
  openFile: fileBytes,
  async readImage(input, name): Promise<RgbImage> {
    if (typeof input === 'string') return readImage(input);
    if (input instanceof Uint8Array) return decodeImage(input, name);
    if (input instanceof Blob) return decodeImage(new Uint8Array(await input.arrayBuffer()), name);
    throw new BadImageError(
      name,
      'Node has no ImageData or ImageBitmap',
      'Give a path, bytes or { width, height, data }.',
    );
  },
});
