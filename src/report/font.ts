/** Three by five pixels are enough for the numbers of a scale bar. */
import type { RgbImage } from '../data/image';

/** Rows from the top, three bits each, the left pixel highest. */
const glyphs: Readonly<Record<string, readonly number[]>> = {
  '0': [7, 5, 5, 5, 7],
  '1': [2, 6, 2, 2, 7],
  '2': [7, 1, 7, 4, 7],
  '3': [7, 1, 3, 1, 7],
  '4': [5, 5, 7, 1, 1],
  '5': [7, 4, 7, 1, 7],
  '6': [7, 4, 7, 5, 7],
  '7': [7, 1, 2, 2, 2],
  '8': [7, 5, 7, 5, 7],
  '9': [7, 5, 7, 1, 7],
  '.': [0, 0, 0, 0, 2],
  '-': [0, 0, 7, 0, 0],
  '+': [0, 2, 7, 2, 0],
  e: [0, 7, 7, 4, 7],
};

export const GLYPH_HEIGHT = 5;

/** Width of a text in font pixels. */
export function textWidth(text: string): number {
  return Math.max(0, text.length * 4 - 1);
}

/** Draws a number, each font pixel as a square of `scale` pixels; what falls outside the image is left out. */
export function drawText(
  image: RgbImage,
  text: string,
  left: number,
  top: number,
  scale: number,
  colour: readonly [number, number, number],
): void {
  [...text].forEach((character, n) => {
    const rows = glyphs[character] ?? [];
    rows.forEach((bits, row) => {
      for (let column = 0; column < 3; column++) {
        if (!(bits & (4 >> column))) continue;
        fillRect(image, left + (n * 4 + column) * scale, top + row * scale, scale, scale, colour);
      }
    });
  });
}

/** Fills a rectangle, cut to the image. `opacity` 1 covers. */
export function fillRect(
  image: RgbImage,
  left: number,
  top: number,
  width: number,
  height: number,
  colour: readonly [number, number, number],
  opacity = 1,
): void {
  const { data } = image;
  for (let y = Math.max(0, top); y < Math.min(top + height, image.height); y++) {
    for (let x = Math.max(0, left); x < Math.min(left + width, image.width); x++) {
      const o = (y * image.width + x) * 3;
      for (let c = 0; c < 3; c++)
        data[o + c] = Math.round(data[o + c]! * (1 - opacity) + colour[c]! * opacity);
    }
  }
}
