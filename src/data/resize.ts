/** Resampling of 8-bit images, bit for bit as Pillow does it, so that released checkpoints see the pixels they were trained on. */
import { bicubicWeights, type ResampleWeights } from '../model/bicubic';
import { ShapeError } from '../runtime/errors';
import type { RgbImage } from './image';

/** Fractional bits of Pillow's 8-bit coefficients: 32 less 8 for the sample and 2 for overshoot. */
const FRACTION_BITS = 22;
const HALF = 1 << (FRACTION_BITS - 1);

/**
 * Squashes an image to width x height (the aspect ratio is not kept) with antialiased bicubic weights: columns first,
 * then rows, 22-bit fixed-point coefficients, rounding and clipping to 8 bits after each pass.
 */
export function resizeBicubic(image: RgbImage, width: number, height = width): RgbImage {
  const wide = resampleColumns(image, fixedPoint(bicubicWeights(image.width, width)));
  return resampleRows(wide, fixedPoint(bicubicWeights(image.height, height)));
}

/**
 * Squashes a one-channel image to width x height by taking the nearest sample: how ground-truth masks are brought to
 * the model's size.
 * @param mask inputWidth * inputHeight samples, row-major.
 */
export function resizeNearest(
  mask: Uint8Array,
  inputWidth: number,
  inputHeight: number,
  width: number,
  height = width,
): Uint8Array<ArrayBuffer> {
  if (mask.length !== inputWidth * inputHeight) {
    throw new ShapeError(
      `A mask of ${inputWidth}x${inputHeight} has ${inputWidth * inputHeight} samples, not ${mask.length}.`,
    );
  }
  const columns = nearestIndices(inputWidth, width);
  const rows = nearestIndices(inputHeight, height);
  const out = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = rows[y]! * inputWidth;
    for (let x = 0; x < width; x++) out[y * width + x] = mask[row + columns[x]!]!;
  }
  return out;
}

/**
 * The model's input: the image squashed to size x size, channel planes, 0..1. No mean or standard deviation is taken off.
 * @returns f32 [3, size, size].
 */
export function toModelInput(image: RgbImage, size: number): Float32Array<ArrayBuffer> {
  const { data } = resizeBicubic(image, size);
  const plane = size * size;
  const out = new Float32Array(3 * plane);
  for (let i = 0, s = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) out[c * plane + i] = data[s++]! / 255;
  }
  return out;
}

interface FixedWeights extends Omit<ResampleWeights, 'weights'> {
  readonly weights: Int32Array;
}

function fixedPoint(taps: ResampleWeights): FixedWeights {
  const scaled = taps.weights.map((w) => w * 2 ** FRACTION_BITS + (w < 0 ? -0.5 : 0.5));
  return { ...taps, weights: Int32Array.from(scaled, Math.trunc) };
}

/** Uint8ClampedArray would round again; the shift has rounded already. */
function clip8(sum: number): number {
  const v = sum >> FRACTION_BITS;
  return Math.min(Math.max(v, 0), 255);
}

function resampleColumns(image: RgbImage, taps: FixedWeights): RgbImage {
  const { width, height, data } = image;
  const { outputSize, stride, first, count, weights } = taps;
  const out = new Uint8Array(outputSize * height * 3);
  for (let y = 0, o = 0; y < height; y++) {
    for (let x = 0; x < outputSize; x++) {
      let r = HALF;
      let g = HALF;
      let b = HALF;
      let i = (y * width + first[x]!) * 3;
      const row = x * stride;
      for (let k = 0; k < count[x]!; k++, i += 3) {
        const w = weights[row + k]!;
        r += w * data[i]!;
        g += w * data[i + 1]!;
        b += w * data[i + 2]!;
      }
      out[o++] = clip8(r);
      out[o++] = clip8(g);
      out[o++] = clip8(b);
    }
  }
  return { width: outputSize, height, data: out };
}

function resampleRows(image: RgbImage, taps: FixedWeights): RgbImage {
  const { width, data } = image;
  const { outputSize, stride, first, count, weights } = taps;
  const line = width * 3;
  const out = new Uint8Array(line * outputSize);
  const sums = new Int32Array(line);
  for (let y = 0; y < outputSize; y++) {
    sums.fill(HALF);
    for (let k = 0; k < count[y]!; k++) {
      const w = weights[y * stride + k]!;
      const source = (first[y]! + k) * line;
      for (let i = 0; i < line; i++) sums[i]! += w * data[source + i]!;
    }
    for (let i = 0; i < line; i++) out[y * line + i] = clip8(sums[i]!);
  }
  return { width, height: outputSize, data: out };
}

function nearestIndices(input: number, output: number): Int32Array {
  const scale = input / output;
  const indices = new Int32Array(output);
  // Added up step by step as Pillow does: (o + 0.5) * scale rounds differently at some ties.
  let at = scale * 0.5;
  for (let o = 0; o < output; o++, at += scale) indices[o] = Math.min(Math.trunc(at), input - 1);
  return indices;
}
