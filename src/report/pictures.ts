import type { RgbImage } from '../data/image';
import { resizeBicubic } from '../data/resize';
import { type OverlayOptions, overlayHeatmap } from './overlay';

/** Longest side of a picture in a report: sharp on a phone, and a hundred of them still make a file one can mail. */
export const REPORT_SIDE = 720;

/** The image scaled down, aspect kept, so that its longer side is at most `side`; the image itself when it is smaller. */
export function fitWithin(image: RgbImage, side: number): RgbImage {
  const scale = side / Math.max(image.width, image.height);
  if (scale >= 1) return image;
  return resizeBicubic(
    image,
    Math.max(1, Math.round(image.width * scale)),
    Math.max(1, Math.round(image.height * scale)),
  );
}

/** The two layers of a report's before/after picture. The heatmap is opaque: the reader's slider makes it transparent. */
export function reportPictures(
  image: RgbImage,
  map: Float32Array,
  size: number,
  options: Pick<OverlayOptions, 'colormap' | 'range'> = {},
): { original: RgbImage; heatmap: RgbImage } {
  const original = fitWithin(image, REPORT_SIDE);
  return {
    original,
    heatmap: overlayHeatmap(original, map, size, { ...options, opacity: 1, scaleBar: false }),
  };
}
