import type { RgbImage } from '../data/image';
import { checkByteLength, defaultDecodeLimits } from '../data/limits';
import { openVolume as openBytes, type Volume, type VolumeOptions } from '../data/volume';
import { nameOf } from './image-input';
import { type LazyImage, platform } from './platform';

/**
 * Opens a DICOM file or a NIfTI volume (.nii, .nii.gz): a path (Node, Deno) or URL (browser), or its bytes. Slices count from
 * 0 and are decoded when asked for:
 *
 *     const volume = await openVolume('brain.nii.gz');
 *     for await (const outcome of model.detectEach(volumeSlices(volume))) ...
 *
 * @throws BadImageError, OptionError
 */
export async function openVolume(
  input: string | Uint8Array | Blob,
  options: VolumeOptions = {},
): Promise<Volume> {
  const name = nameOf(input, 0);
  const { decoders } = platform();
  if (input instanceof Uint8Array) return openBytes(decoders, input, name, options);
  const limits = { ...defaultDecodeLimits, ...options.limits };
  if (input instanceof Blob) {
    checkByteLength(name, input.size, limits);
    return openBytes(decoders, new Uint8Array(await input.arrayBuffer()), name, options);
  }
  const file = await platform().openFile(input);
  try {
    checkByteLength(name, file.size, limits);
    return await openBytes(decoders, await file.read(0, file.size), name, options);
  } finally {
    await file.close();
  }
}

/** Slices of a volume as images that models, training and evaluation take. @param indices all unless told. */
export function volumeSlices(volume: Volume, indices?: Iterable<number>): LazyImage[] {
  const all = indices ?? Array.from({ length: volume.slices }, (_, i) => i);
  return Array.from(all, (i) => ({
    name: volume.label(i),
    load: (): Promise<RgbImage> => volume.slice(i),
  }));
}
