/** A heatmap over the image it was computed from, at the image's own size, with a scale bar. */
import type { RgbImage } from '../data/image';
import { OptionError, ShapeError, ValueError } from '../runtime/errors';
import { type ColormapName, colormap, defaultColormap } from './colormap';
import { drawText, fillRect, GLYPH_HEIGHT, textWidth } from './font';

export interface OverlayOptions {
  /** 0 shows the image alone, 1 the heatmap alone; 0.5 when left out. */
  readonly opacity?: number;
  readonly colormap?: ColormapName;
  /** Values of the lowest and the highest colour; the map's own extremes when left out. Values beyond take the end colours. */
  readonly range?: readonly [low: number, high: number];
  /** Scale bar with the range's two numbers, at the lower right; left out on images under 48 pixels. */
  readonly scaleBar?: boolean;
  /** Outlines where another map of the same size, or this one, reaches a threshold. */
  readonly contour?: { readonly map?: Float32Array; readonly threshold: number };
}

/**
 * @param image the original picture. @param map f32 [size, size], row-major: the score map of the picture squashed to a square.
 * @returns a new picture of the original's width and height.
 * @throws ShapeError when the map is not size x size. @throws ValueError when it holds NaN or infinity.
 * @throws OptionError when opacity or range make no sense.
 */
export function overlayHeatmap(
  image: RgbImage,
  map: Float32Array,
  size: number,
  options: OverlayOptions = {},
): RgbImage {
  const { opacity = 0.5, scaleBar = true } = options;
  if (!(opacity >= 0 && opacity <= 1)) {
    throw new OptionError(`An opacity of ${opacity} is impossible.`, 'Give a number from 0 to 1.');
  }
  const table = colormap(options.colormap ?? defaultColormap);
  if (map.length !== size * size || size < 1) {
    throw new ShapeError(`The map has ${map.length} values, ${size}x${size} were expected.`);
  }
  // Also where the caller gives the range: a NaN would come out as some colour.
  const extremes = mapRange(map);
  const [low, high] = options.range ?? extremes;
  if (!(low <= high && Number.isFinite(low) && Number.isFinite(high))) {
    throw new OptionError(`The colours cannot run from ${low} to ${high}.`);
  }
  const { width, height } = image;
  const data = new Uint8Array(width * height * 3);
  const values = resampleMap(map, size, width, height);
  const toColour = high > low ? 255 / (high - low) : 0;
  for (let i = 0, o = 0; i < values.length; i++, o += 3) {
    const colour = 3 * Math.round(Math.min(Math.max((values[i]! - low) * toColour, 0), 255));
    for (let c = 0; c < 3; c++) {
      data[o + c] = Math.round(image.data[o + c]! * (1 - opacity) + table[colour + c]! * opacity);
    }
  }
  const out = { width, height, data };
  if (options.contour) {
    const { map: other = map, threshold } = options.contour;
    drawContour(out, other === map ? values : resampleMap(other, size, width, height), threshold);
  }
  if (scaleBar) drawScaleBar(out, table, low, high);
  return out;
}

/** Of the outlines in reports, too. */
const OUTLINE = [64, 224, 255] as const;

/** Paints the inner edge of where values reach the threshold: pixels with a neighbour, four ways, that does not. */
function drawContour(image: RgbImage, values: Float64Array, threshold: number): void {
  const { width, height } = image;
  const inside = (x: number, y: number) =>
    x >= 0 && y >= 0 && x < width && y < height && values[y * width + x]! >= threshold;
  const thickness = Math.max(1, Math.round(Math.min(width, height) / 256));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!inside(x, y)) continue;
      if (inside(x - 1, y) && inside(x + 1, y) && inside(x, y - 1) && inside(x, y + 1)) continue;
      fillRect(image, x, y, Math.min(thickness, width - x), Math.min(thickness, height - y), OUTLINE);
    }
  }
}

/**
 * Lowest and highest value of a score map.
 * @throws ValueError when the map holds NaN or infinity: such a map must not become a picture.
 */
export function mapRange(map: Float32Array): [low: number, high: number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const [i, v] of map.entries()) {
    if (!Number.isFinite(v))
      throw new ValueError(`Score map value ${i} is ${v}.`, 'The image has no valid result.');
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  return [low, high];
}

/**
 * A score map at its picture's own size, bilinear.
 * @param map f32 [size, size] of the picture squashed to a square. @returns [height, width]
 */
export function resampleMap(
  map: Float32Array,
  size: number,
  width: number,
  height: number,
): Float64Array<ArrayBuffer> {
  const columns = bilinearTaps(size, width);
  const rows = bilinearTaps(size, height);
  const out = new Float64Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    const { first: y0, second: y1, share: fy } = rows[y]!;
    for (let x = 0; x < width; x++, i++) {
      const { first: x0, second: x1, share: fx } = columns[x]!;
      const top = map[y0 * size + x0]! * (1 - fx) + map[y0 * size + x1]! * fx;
      const bottom = map[y1 * size + x0]! * (1 - fx) + map[y1 * size + x1]! * fx;
      out[i] = top * (1 - fy) + bottom * fy;
    }
  }
  return out;
}

interface Tap {
  readonly first: number;
  readonly second: number;
  /** Weight of the second. */
  readonly share: number;
}

/** Pixel centres on pixel centres (align_corners=false), the border value beyond the outermost centres. */
function bilinearTaps(input: number, output: number): Tap[] {
  return Array.from({ length: output }, (_, o) => {
    const at = Math.min(Math.max(((o + 0.5) * input) / output - 0.5, 0), input - 1);
    const first = Math.floor(at);
    return { first, second: Math.min(first + 1, input - 1), share: at - first };
  });
}

const PLATE = [0, 0, 0] as const;
const INK = [255, 255, 255] as const;

function drawScaleBar(image: RgbImage, table: Uint8Array, low: number, high: number): void {
  const shorter = Math.min(image.width, image.height);
  if (shorter < 48) return;
  const unit = Math.max(1, Math.round(shorter / 256));
  const labels = [format(high), format(low)] as const;
  const textLeft = 7;
  const across = (textLeft + Math.max(...labels.map(textWidth)) + 3) * unit;
  const bar = Math.min(Math.round(shorter * 0.4), 100 * unit);
  const down = bar + 6 * unit;
  const left = image.width - across - 3 * unit;
  const top = image.height - down - 3 * unit;
  fillRect(image, left, top, across, down, PLATE, 0.7);
  for (let y = 0; y < bar; y++) {
    const colour = 3 * Math.round(255 * (1 - y / (bar - 1)));
    const rgb = [table[colour]!, table[colour + 1]!, table[colour + 2]!] as const;
    fillRect(image, left + 2 * unit, top + 3 * unit + y, 3 * unit, 1, rgb);
  }
  drawText(image, labels[0], left + textLeft * unit, top + 3 * unit, unit, INK);
  const bottom = top + 3 * unit + bar - GLYPH_HEIGHT * unit;
  drawText(image, labels[1], left + textLeft * unit, bottom, unit, INK);
}

/** Three significant digits, in characters the font has. */
function format(value: number): string {
  const text = Math.abs(value) >= 1e4 ? value.toExponential(1) : value.toFixed(Math.abs(value) < 10 ? 2 : 1);
  return value !== 0 && Math.abs(value) < 0.01 ? value.toExponential(1) : text;
}
