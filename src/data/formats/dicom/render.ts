/** From stored values to 8-bit RGB: rescaling, window, palette, colour model (PS3.3, C.7.6.3.1.2, C.11.1, C.11.2). */
import type { RgbImage } from '../../image';
import type { DicomImage, GrayTransform, Lut, Window } from './image';
import type { Samples } from './samples';

/** A frame's gray values: after rescaling (or the modality LUT), before the window. */
export function modalityValues(
  { values }: Samples,
  { slope, intercept, modality }: GrayTransform,
): Float64Array {
  const out = new Float64Array(values.length);
  for (let i = 0; i < out.length; i++) {
    out[i] = modality ? lookUp(modality, values[i]!) : values[i]! * slope + intercept;
  }
  return out;
}

/** Lowest and highest gray value, without pixels that are padding; undefined where all are. */
export function valueRange(
  { values }: Samples,
  gray: Float64Array,
  padding: DicomImage['padding'],
): readonly [number, number] | undefined {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < gray.length; i++) {
    if (padding && values[i]! >= padding[0] && values[i]! <= padding[1]) continue;
    const value = gray[i]!;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : undefined;
}

/** @param range what is black and white where there is neither window nor VOI LUT. */
export function renderGray(
  image: DicomImage,
  gray: Float64Array,
  { window, voi }: Pick<GrayTransform, 'window' | 'voi'>,
  range: readonly [number, number],
): RgbImage {
  const show = window
    ? windowed(window)
    : voi
      ? (x: number) => (lookUp(voi, x) / voi.top) * 255
      : stretched(range);
  const inverse = image.photometric === 'MONOCHROME1';
  const data = new Uint8Array(3 * gray.length);
  for (let i = 0, o = 0; i < gray.length; i++, o += 3) {
    const level = Math.round(show(gray[i]!));
    const value = inverse ? 255 - level : level;
    data[o] = value;
    data[o + 1] = value;
    data[o + 2] = value;
  }
  return { width: image.columns, height: image.rows, data };
}

export function renderColour(image: DicomImage, samples: Samples): RgbImage {
  const { rows, columns, palette, photometric, stored } = image;
  const pixels = rows * columns;
  const { values, planar } = samples;
  const data = new Uint8Array(3 * pixels);
  if (palette) {
    for (let i = 0, o = 0; i < pixels; i++, o += 3) {
      for (let c = 0; c < 3; c++) {
        const lut = palette[c]!;
        data[o + c] = Math.round((lookUp(lut, values[i]!) / lut.top) * 255);
      }
    }
    return { width: columns, height: rows, data };
  }
  const toByte = samples.rgb && values instanceof Uint8Array ? 1 : 255 / (2 ** stored - 1);
  const ybr = !samples.rgb && photometric !== 'RGB';
  const [step, plane] = planar ? [1, pixels] : [3, 1];
  const clamped = new Uint8ClampedArray(data.buffer);
  for (let i = 0, o = 0; i < pixels; i++, o += 3) {
    let at = i * step;
    let [first, second, third] = [at, at + plane, at + 2 * plane];
    if (samples.subsampled) {
      at = 4 * (i >> 1);
      [first, second, third] = [at + (i & 1), at + 2, at + 3];
    }
    const [a, b, c] = [values[first]! * toByte, values[second]! * toByte, values[third]! * toByte];
    if (!ybr) {
      clamped[o] = a;
      clamped[o + 1] = b;
      clamped[o + 2] = c;
      continue;
    }
    // The inverse of PS3.3, C.7.6.3.1.2 (ITU-R BT.601, full range).
    clamped[o] = a + 1.402 * (c - 128);
    clamped[o + 1] = a - 0.344136 * (b - 128) - 0.714136 * (c - 128);
    clamped[o + 2] = a + 1.772 * (b - 128);
  }
  return { width: columns, height: rows, data };
}

function lookUp({ first, values }: Lut, value: number): number {
  const at = Math.round(value) - first;
  return values[at < 0 ? 0 : at >= values.length ? values.length - 1 : at]!;
}

/** PS3.3, C.11.2.1.2 and C.11.2.1.3, to 0..255. */
function windowed({ center: c, width: w, kind }: Window): (x: number) => number {
  if (kind === 'SIGMOID') return (x) => 255 / (1 + Math.exp((-4 * (x - c)) / w));
  if (kind === 'LINEAR_EXACT') {
    return (x) => (x <= c - w / 2 ? 0 : x > c + w / 2 ? 255 : ((x - c) / w + 0.5) * 255);
  }
  return (x) => {
    if (x <= c - 0.5 - (w - 1) / 2) return 0;
    if (x > c - 0.5 + (w - 1) / 2) return 255;
    return ((x - (c - 0.5)) / (w - 1) + 0.5) * 255;
  };
}

function stretched([low, high]: readonly [number, number]): (x: number) => number {
  const span = high > low ? high - low : Number.POSITIVE_INFINITY;
  return (x) => Math.min(Math.max((x - low) / span, 0), 1) * 255;
}
