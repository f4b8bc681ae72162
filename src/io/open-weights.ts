/** Opens weights of any format: the content decides, not the name. */
import type { TensorSource } from '../model/tensor-source';
import { BadFileError } from '../runtime/errors';
import type { ByteSource } from './bytes';
import { openSafetensors } from './safetensors';
import { openSharded, type Siblings } from './sharded';
import { openTorch } from './torch';

const HEAD = 512;
const RESAVE = 'Save it again with PyTorch: torch.save(torch.load(FILE, weights_only=True), NEW).';

type Format = 'zip' | 'json' | 'safetensors';

interface Foreign {
  /** @param start the file's first bytes, one character each. */
  matches(start: string): boolean;
  readonly what: string;
  readonly remedy: string;
}

/** What people take for weights. */
const FOREIGN: readonly Foreign[] = [
  {
    matches: (start) => start.startsWith('version https://git-lfs'),
    what: 'it is a pointer of Git LFS, not the weights',
    remedy: 'Fetch the file itself: git lfs pull.',
  },
  {
    matches: (start) => /^\s*<(!doctype|html|\?xml|!--)/i.test(start),
    what: 'it is a web page, not weights',
    remedy:
      'The download gave a page (a login or an error); open the link in a browser, or pull the weights again.',
  },
  {
    matches: (start) => start[0] === '\x80' && start.charCodeAt(1) <= 5,
    what: 'it is a bare pickle, which old versions of PyTorch wrote',
    remedy: RESAVE,
  },
  {
    matches: (start) => start.startsWith('ustar', 257),
    what: 'it is a tar archive',
    remedy: 'Unpack it and give the file inside.',
  },
  {
    matches: (start) => start.startsWith('\x1f\x8b'),
    what: 'it is compressed with gzip',
    remedy: 'Unpack it with gunzip and give the file inside.',
  },
  {
    matches: (start) => start.startsWith('\x89HDF') || start.startsWith('GGUF'),
    what: 'it is an HDF5 or GGUF file',
    remedy: 'Give the safetensors file of the same model.',
  },
  {
    matches: (start) =>
      start.startsWith('\x89PNG') || start.startsWith('\xff\xd8\xff') || start.startsWith('BM'),
    what: 'it is an image, not weights',
    remedy: 'Give the weights to --weights, and images as arguments.',
  },
  {
    // Prose; JSON, which an index of shards is, is not meant.
    matches: (start) => start.length >= 8 && /^[\t\n\r\x20-\x7e]+$/.test(start) && !/^\s*[{[]/.test(start),
    what: 'it is text, not weights',
    remedy: 'Give a safetensors, .pt or .pth file.',
  },
];

/** @throws BadFileError for what is recognised as something else. */
function formatOf(label: string, head: Uint8Array): Format {
  // First, since the length that a safetensors file begins with can look like any magic number.
  if (head[6] === 0 && head[7] === 0 && head[8] === 0x7b) return 'safetensors';
  const start = String.fromCharCode(...head);
  if (start.startsWith('PK\x03\x04') || start.startsWith('PK\x05\x06')) return 'zip';
  const foreign = FOREIGN.find(({ matches }) => matches(start));
  if (foreign) throw new BadFileError(label, foreign.what, foreign.remedy, 0);
  return /^(\xef\xbb\xbf)?\s*[{[]/.test(start) && head[7] !== 0 ? 'json' : 'safetensors';
}

async function openSingle(bytes: ByteSource): Promise<TensorSource> {
  const format = await sniff(bytes);
  if (format === 'json') throw new BadFileError(bytes.label, 'it is JSON, not weights', 'Give the weights.');
  return format === 'zip' ? openTorch(bytes) : openSafetensors(bytes);
}

async function sniff(bytes: ByteSource): Promise<Format> {
  const { label, size } = bytes;
  if (size === 0) throw new BadFileError(label, 'it is empty');
  return formatOf(label, await bytes.read(0, Math.min(size, HEAD)));
}

/**
 * Opens safetensors, an index of shards, torch.save's zip or a TorchScript archive. The result closes the bytes, and so does
 * a failure.
 * @param sibling opens a file of the same folder; an index of shards needs it.
 * @throws BadFileError when it is none of these, or malformed.
 */
export async function openWeights(bytes: ByteSource, sibling?: Siblings): Promise<TensorSource> {
  try {
    if ((await sniff(bytes)) !== 'json') return await openSingle(bytes);
    if (sibling) return await openSharded(bytes, sibling, openSingle);
    const remedy = 'Give the weights in one file, or the path of the index on disk.';
    throw new BadFileError(bytes.label, 'it is an index; its shards cannot be found from here', remedy);
  } catch (error) {
    await bytes.close();
    throw error;
  }
}
