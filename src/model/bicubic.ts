/**
 * Antialiased cubic convolution: one set of weights for position embeddings (f32) and for images (8-bit fixed point).
 *
 * The kernel is Keys' (IEEE TASSP 29(6), 1981, eq. 15) with a = -0.5, widened by the scale when shrinking, cut at the
 * border and normalised to sum 1. Pillow's BICUBIC and torch's interpolate(mode="bicubic", antialias=True,
 * align_corners=False) both use exactly these weights.
 */
import { ShapeError } from '../runtime/errors';

const A = -0.5;
/** Half-width of the kernel, in output pixels. */
const RADIUS = 2;

/** Which inputs make each output, and by how much. */
export interface ResampleWeights {
  readonly inputSize: number;
  readonly outputSize: number;
  /** Room for taps per output: row o of `weights` starts at o * stride. */
  readonly stride: number;
  /** First input of output o. */
  readonly first: Int32Array;
  /** Number of inputs of output o, at most `stride`. */
  readonly count: Int32Array;
  /** [outputSize, stride] f64; each row's first `count` entries sum to 1. */
  readonly weights: Float64Array;
}

/** Keys' cubic convolution kernel at distance x, in samples. */
export function cubicKernel(x: number): number {
  const d = Math.abs(x);
  if (d < 1) return ((A + 2) * d - (A + 3)) * d * d + 1;
  if (d < 2) return (((d - 5) * d + 8) * d - 4) * A;
  return 0;
}

/**
 * Weights that resample `inputSize` samples to `outputSize` over the same extent.
 * @throws ShapeError when a size is not a positive integer.
 */
export function bicubicWeights(inputSize: number, outputSize: number): ResampleWeights {
  for (const n of [inputSize, outputSize]) {
    if (!Number.isInteger(n) || n < 1) throw new ShapeError(`Cannot resample ${inputSize} to ${outputSize}.`);
  }
  const scale = inputSize / outputSize;
  const stretch = Math.max(scale, 1);
  const support = RADIUS * stretch;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(outputSize);
  const count = new Int32Array(outputSize);
  const weights = new Float64Array(outputSize * stride);
  for (let o = 0; o < outputSize; o++) {
    const center = (o + 0.5) * scale;
    // Truncation toward zero, then the border: the same inputs as Pillow and torch take.
    const from = Math.max(Math.trunc(center - support + 0.5), 0);
    const to = Math.min(Math.trunc(center + support + 0.5), inputSize);
    const row = o * stride;
    let sum = 0;
    for (let i = from; i < to; i++) {
      const w = cubicKernel((i - center + 0.5) / stretch);
      weights[row + i - from] = w;
      sum += w;
    }
    for (let k = 0; k < to - from; k++) weights[row + k]! /= sum;
    first[o] = from;
    count[o] = to - from;
  }
  return { inputSize, outputSize, stride, first, count, weights };
}

/**
 * Fits CLIP's learned position embeddings to another patch grid.
 * @param position f32 [1 + from*from, width]: the class token's row, then the grid row by row.
 * @param from patches a side the weights were trained with. @param to patches a side wanted.
 * @returns f32 [1 + to*to, width]; the class row as it was.
 * @throws ShapeError when the length is not (1 + from*from) * width.
 */
export function resizePositionEmbedding(
  position: Float32Array,
  from: number,
  to: number,
  width: number,
): Float32Array<ArrayBuffer> {
  if (position.length !== (1 + from * from) * width) {
    throw new ShapeError(
      `Position embeddings have ${position.length} values, 1 + ${from}x${from} rows of ${width} need ${(1 + from * from) * width}.`,
    );
  }
  if (from === to) return Float32Array.from(position);
  const taps = bicubicWeights(from, to);
  const { stride, first, count, weights } = taps;
  // Columns, then rows; f64 between the two so that only the result is rounded.
  const wide = new Float64Array(from * to * width);
  for (let y = 0; y < from; y++) {
    for (let x = 0; x < to; x++) {
      const target = (y * to + x) * width;
      for (let k = 0; k < count[x]!; k++) {
        const w = weights[x * stride + k]!;
        const source = (1 + y * from + first[x]! + k) * width;
        for (let d = 0; d < width; d++) wide[target + d]! += w * position[source + d]!;
      }
    }
  }
  const out = new Float32Array((1 + to * to) * width);
  out.set(position.subarray(0, width));
  const sum = new Float64Array(width);
  for (let y = 0; y < to; y++) {
    for (let x = 0; x < to; x++) {
      sum.fill(0);
      for (let k = 0; k < count[y]!; k++) {
        const w = weights[y * stride + k]!;
        const source = ((first[y]! + k) * to + x) * width;
        for (let d = 0; d < width; d++) sum[d]! += w * wide[source + d]!;
      }
      out.set(sum, (1 + y * to + x) * width);
    }
  }
  return out;
}
