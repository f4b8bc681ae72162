/** mla-lp in Node: Dawn through the package webgpu, sharp for image codecs, both loaded when first needed. */
import { fileBytes } from '../io/node/file-bytes';
import { fileSpill } from '../io/node/spill-file';
import { loadTuning } from '../io/node/tuned-files';
import { acquireAdapter } from '../platform/node/adapter';
import { decodeImage, decoders, readImage } from '../platform/node/decode-image';
import { fileImages } from './file-images';
import { setPlatform } from './platform';

export * from './index';

setPlatform({
  acquireAdapter,
  loadTuning: ({ adapter, software }) => loadTuning(adapter.info, software),
  openFile: fileBytes,
  openSpill: (entryBytes) => fileSpill(undefined, entryBytes),
  readImage: fileImages({ readImage, decodeImage }),
  decoders,
});
