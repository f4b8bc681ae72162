/** mla-lp in Deno: its own WebGPU (`--unstable-webgpu`), files through its Node layer. */
import { fileBytes } from '../io/node/file-bytes';
import { fileSpill } from '../io/node/spill-file';
import { acquireAdapter } from '../platform/deno/adapter';
import { decodeImage, decoders, readImage } from '../platform/deno/decode-image';
import { fileImages } from './file-images';
import { setPlatform } from './platform';

export * from './index';

setPlatform({
  acquireAdapter,
  openFile: fileBytes,
  openSpill: (entryBytes) => fileSpill(undefined, entryBytes),
  readImage: fileImages({ readImage, decodeImage }),
  decoders,
});
