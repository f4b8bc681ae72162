import type { RgbImage } from './image';
import { resizeBicubic } from './resize';
import type { SliceGrid } from './volume';

/** Differences below this are not seen. */
const NOTICEABLE = 1.02;
/** A longer side would be a wrong header rather than a slice, px. */
const LONGEST = 8192;

/**
 * A slice as it looks in the patient: the axis along which voxels lie further apart is stretched, so that pixels are square.
 * For pictures only; the model sees slices as they are stored.
 */
export function squarePixels(image: RgbImage, { spacing, axes }: SliceGrid): RgbImage {
  const [across, down] = [spacing[axes.x], spacing[axes.y]];
  const ratio = down / across;
  const width = Math.round(image.width * Math.max(1, 1 / ratio));
  const height = Math.round(image.height * Math.max(1, ratio));
  const fits = Number.isFinite(ratio) && Math.max(width, height) <= LONGEST;
  if (!fits || Math.max(ratio, 1 / ratio) < NOTICEABLE) return image;
  return resizeBicubic(image, width, height);
}
