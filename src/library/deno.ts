/** mla-lp in Deno: its own WebGPU (`--unstable-webgpu`), files through its Node layer. */
import type { RgbImage } from '../data/image';
import { fileBytes } from '../io/node/file-bytes';
import { acquireAdapter } from '../platform/deno/adapter';
import { decodeImage, readImage } from '../platform/deno/decode-image';
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
      'Deno gives no pixels of this object',
      'Give a path, bytes or { width, height, data }.',
    );
  },
});
