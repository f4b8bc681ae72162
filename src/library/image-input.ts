import type { RgbImage } from '../data/image';
import type { ImageInput } from './platform';

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
  return typeof File !== 'undefined' && input instanceof File ? input.name : `image ${index + 1}`;
}
