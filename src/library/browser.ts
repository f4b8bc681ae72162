/** mla-lp in browsers: navigator.gpu, and images that never leave the page. */
import { blobSpill } from '../io/blob-spill';
import { type ByteSource, blobBytes } from '../io/bytes';
import { acquireAdapter } from '../platform/browser/adapter';
import { decoders, readImage } from '../platform/browser/decode-image';
import { BadFileError, BadImageError } from '../runtime/errors';
import { setPlatform } from './platform';

export * from './index';

/** The browser keeps the download as a Blob, which it may hold on disk. */
async function fetchBlob(url: string): Promise<Blob> {
  const response = await fetch(url).catch((cause: unknown) => {
    throw new BadFileError(
      url,
      'it cannot be fetched',
      'Check the address and its CORS headers.',
      undefined,
      { cause },
    );
  });
  if (!response.ok)
    throw new BadFileError(url, `the server answered ${response.status}`, 'Check the address.');
  return response.blob();
}

setPlatform({
  acquireAdapter,
  decoders,
  openSpill: async () => blobSpill(),
  async openFile(url): Promise<ByteSource> {
    return blobBytes(await fetchBlob(url), url);
  },
  async readImage(input, name, options) {
    if (typeof input !== 'string') return readImage(input, name, options);
    const blob = await fetchBlob(input).catch((cause: unknown) => {
      throw new BadImageError(input, 'it cannot be fetched', 'Check the address and its CORS headers.', {
        cause,
      });
    });
    return readImage(blob, name, options);
  },
});
