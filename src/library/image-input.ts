import type { RgbImage } from '../data/image';
import type { DecodeOptions } from '../data/limits';
import { type ImageInput, type LazyImage, platform } from './platform';

/** Whether the input is decoded 8-bit RGB. */
export function isRgbImage(input: ImageInput): input is RgbImage {
  return (
    typeof input === 'object' &&
    'data' in input &&
    input.data instanceof Uint8Array &&
    input.data.length === input.width * input.height * 3
  );
}

/** What messages call an input. */
export function nameOf(input: ImageInput, index: number): string {
  if (typeof input === 'string') return input;
  if (isLazyImage(input)) return input.name;
  return typeof File !== 'undefined' && input instanceof File ? input.name : `image ${index + 1}`;
}

/** Whether the input is made when asked for. */
export function isLazyImage(input: ImageInput): input is LazyImage {
  return typeof input === 'object' && 'load' in input && typeof input.load === 'function';
}

/** The input's pixels. @param index of the image in its run, for its name. @throws BadImageError */
export async function readInput(
  input: ImageInput,
  index: number,
  options?: DecodeOptions,
): Promise<RgbImage> {
  if (isRgbImage(input)) return input;
  return isLazyImage(input) ? input.load() : platform().readImage(input, nameOf(input, index), options);
}
