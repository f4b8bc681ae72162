/** From a labelled image's files to what training and evaluation take. */
import { BadImageError } from '../runtime/errors';
import type { RgbImage } from './image';
import type { DecodeOptions } from './limits';
import { resizeNearest, toModelInput } from './resize';

export interface Sample {
  /** f32 [3, size, size], 0..1. */
  readonly pixels: Float32Array<ArrayBuffer>;
  /** [size, size], 1 abnormal, 0 normal. Absent where the image has no mask file, normal images among them. */
  readonly mask?: Uint8Array<ArrayBuffer>;
}

const AS_MASK = { mask: true } as const;

/** How far, relatively, the aspect ratio of a mask may be from its image's: rounding of a scaled-down mask, no more. */
const ASPECT_TOLERANCE = 0.01;

/** An image and its mask, by path or whatever else the decoder takes. */
export interface SampleSource<T> {
  readonly path: T;
  readonly mask?: T;
}

/**
 * Decodes an image and its mask and brings both to the model's size: the image bicubic, the mask by nearest sample, both
 * as Pillow does. A mask's pixel is abnormal where its brightest channel is over half of full white.
 * @param size pixels a side. @param readImage the platform's decoder.
 * @throws BadImageError when a file cannot be decoded, the mask's shape is not the image's, or the mask is dark all over
 * without being black: its labels are then written in a way that thresholding would lose.
 */
export async function loadSample<T>(
  image: SampleSource<T>,
  size: number,
  readImage: (path: T, options?: DecodeOptions) => Promise<RgbImage>,
): Promise<Sample> {
  const picture = await readImage(image.path);
  const pixels = toModelInput(picture, size);
  if (image.mask === undefined) return { pixels };
  return { pixels, mask: await loadMask(image.mask, picture, size, readImage) };
}

/** Decodes an image and its mask and keeps nothing: what `loadSample` would refuse is refused. @throws BadImageError as it does. */
export async function checkSample<T>(
  image: SampleSource<T>,
  readImage: (path: T, options?: DecodeOptions) => Promise<RgbImage>,
): Promise<void> {
  const picture = await readImage(image.path);
  if (image.mask !== undefined) readMask(maskName(image.mask), await readImage(image.mask, AS_MASK), picture);
}

/**
 * A mask at the model's size, [size, size], 1 abnormal, 0 normal.
 * @param picture the image it belongs to. @throws BadImageError as `loadSample`.
 */
export async function loadMask<T>(
  source: T,
  picture: RgbImage,
  size: number,
  readImage: (path: T, options?: DecodeOptions) => Promise<RgbImage>,
): Promise<Uint8Array<ArrayBuffer>> {
  const mask = await readImage(source, AS_MASK);
  return scaleMask(readMask(maskName(source), mask, picture), mask, size);
}

function maskName(source: unknown): string {
  return typeof source === 'string' ? source : 'a mask';
}

/**
 * A decoded mask as one channel, [height * width]: masks are gray or painted in one colour, so the brightest counts.
 * @param picture its image. @throws BadImageError when the shapes differ or the mask is dark without being black.
 */
export function readMask(
  name: string,
  mask: RgbImage,
  picture: Pick<RgbImage, 'width' | 'height'>,
): Uint8Array<ArrayBuffer> {
  checkAspect(name, mask, picture);
  const brightest = maximumChannel(mask);
  const most = brightest.reduce((a, b) => Math.max(a, b), 0);
  if (most > 0 && most <= 127) {
    throw new BadImageError(
      name,
      `its brightest pixel is ${most} of 255, so that none would count as abnormal`,
      'Write abnormal pixels as 255 and normal ones as 0.',
    );
  }
  return brightest;
}

/** [size, size], 1 abnormal, 0 normal. @param brightest what `readMask` gives. @param mask its width and height. */
export function scaleMask(
  brightest: Uint8Array,
  mask: Pick<RgbImage, 'width' | 'height'>,
  size: number,
): Uint8Array<ArrayBuffer> {
  return resizeNearest(brightest, mask.width, mask.height, size).map((v) => (v / 255 > 0.5 ? 1 : 0));
}

function checkAspect(file: string, mask: RgbImage, image: Pick<RgbImage, 'width' | 'height'>): void {
  const ratio = (mask.width * image.height) / (mask.height * image.width);
  if (Math.max(ratio, 1 / ratio) <= 1 + ASPECT_TOLERANCE) return;
  throw new BadImageError(
    file,
    `the mask has ${mask.width} x ${mask.height} pixels, its image ${image.width} x ${image.height}: the shapes differ`,
    'Give the mask of this image, turned and cut as the image is.',
  );
}

function maximumChannel({ data }: RgbImage): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(data.length / 3);
  for (let i = 0, s = 0; i < out.length; i++, s += 3) {
    out[i] = Math.max(data[s]!, data[s + 1]!, data[s + 2]!);
  }
  return out;
}
