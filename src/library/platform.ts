/** What differs between Node, Deno and browsers, behind one interface. The entry module of each sets its own. */
import type { Decoders } from '../data/codec';
import type { RgbImage } from '../data/image';
import type { DecodeOptions } from '../data/limits';
import type { ByteSource } from '../io/bytes';
import type { Spill } from '../model/spill';
import type { AcquireAdapter, AdapterChoice } from '../runtime/adapter';
import { MlaLpError } from '../runtime/errors';
import type { Tuning } from '../runtime/tuned';

/**
 * An image to look at: a path (Node, Deno) or URL (browser); the bytes of an image file; a browser's own objects; decoded
 * 8-bit RGB; or one that is made when its turn comes.
 */
export type ImageInput = StoredImage | RgbImage | LazyImage;

/** What a platform decodes. */
export type StoredImage = string | Uint8Array | Blob | ImageData | ImageBitmap;

/** A slice of a volume, for instance. */
export interface LazyImage {
  /** What messages call it. */
  readonly name: string;
  /** @throws MlaLpError, which counts for this image alone. */
  load(): Promise<RgbImage>;
}

export interface Platform {
  readonly acquireAdapter: AcquireAdapter;
  /** The tuned table that this platform keeps for an adapter. Never rejects: what is wrong with one is a note in it. */
  readonly loadTuning?: (choice: AdapterChoice) => Promise<Tuning | undefined>;
  /** @throws BadImageError */
  readImage(input: StoredImage, name: string, options?: DecodeOptions): Promise<RgbImage>;
  /** What decoding volumes takes from here. */
  readonly decoders: Decoders;
  /** Random access to a file: a path (Node, Deno) or a URL (browser). @throws BadFileError */
  openFile(location: string): Promise<ByteSource>;
  /** Takes cached features of training that the device has no room for: a temporary file, or Blobs. */
  openSpill(entryBytes: number): Promise<Spill>;
}

let current: Platform | undefined;

export function setPlatform(platform: Platform): void {
  current = platform;
}

export function platform(): Platform {
  if (!current) {
    throw new MlaLpError('bad-option', 'No platform is set.', 'Import mla-lp itself, not a part of it.');
  }
  return current;
}
