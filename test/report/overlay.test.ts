import { expect, test } from 'vitest';
import type { RgbImage } from '../../src/data/image';
import { decodeImage } from '../../src/platform/node/decode-image';
import { encodeJpeg, encodePng } from '../../src/platform/node/encode-png';
import {
  colormap,
  colormapNames,
  fitWithin,
  mapRange,
  overlayHeatmap,
  reportPictures,
} from '../../src/report';
import { drawText } from '../../src/report/font';
import { OptionError, ShapeError, ValueError } from '../../src/runtime/errors';

const flat = (width: number, height: number, value: number): RgbImage => ({
  width,
  height,
  data: new Uint8Array(width * height * 3).fill(value),
});
const pixel = (image: RgbImage, x: number, y: number) => {
  const o = (y * image.width + x) * 3;
  return [...image.data.subarray(o, o + 3)];
};
const luminance = (table: Uint8Array, i: number) => {
  const linear = [0, 1, 2].map((c) => {
    const v = table[i * 3 + c]! / 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * linear[0]! + 0.7152 * linear[1]! + 0.0722 * linear[2]!;
};

test.each(colormapNames)('%s has 256 colours that grow lighter, also in gray', (name) => {
  const table = colormap(name);
  expect(table.length).toBe(768);
  for (let i = 8; i < 256; i += 8) expect(luminance(table, i)).toBeGreaterThan(luminance(table, i - 8));
});

test('known colours', () => {
  expect([...colormap('viridis').subarray(0, 3)]).toEqual([0x44, 0x01, 0x54]);
  expect([...colormap('inferno').subarray(765)]).toEqual([0xfc, 0xff, 0xa4]);
  expect(() => colormap('jet' as 'viridis')).toThrow(OptionError);
  expect(() => colormap('toString' as 'viridis')).toThrow(OptionError);
});

test('the map is spread over the image’s own size, centres on centres', () => {
  // One row of values 0 and 1 over eight pixels: flat to the centres of the quarters, a ramp between them.
  const image = overlayHeatmap(flat(8, 8, 0), Float32Array.of(0, 1, 0, 1), 2, {
    opacity: 1,
    colormap: 'viridis',
  });
  expect([image.width, image.height]).toEqual([8, 8]);
  const table = colormap('viridis');
  const colours = [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1].map((v) => Math.round(v * 255) * 3);
  colours.forEach((o, x) => {
    expect(pixel(image, x, 3)).toEqual([...table.subarray(o, o + 3)]);
  });
});

test('opacity mixes, range sets the ends', () => {
  const map = Float32Array.of(0, 1, 2, 3);
  const base = flat(40, 40, 100);
  expect(overlayHeatmap(base, map, 2, { opacity: 0 }).data).toEqual(base.data);
  const half = overlayHeatmap(base, map, 2, { range: [-10, -5] });
  const end = colormap('inferno').subarray(765);
  expect(pixel(half, 20, 20)).toEqual([...end].map((v) => Math.round((100 + v) / 2)));
  const constant = overlayHeatmap(base, new Float32Array(4).fill(7), 2, { opacity: 1 });
  expect(pixel(constant, 3, 3)).toEqual([0, 0, 4]);
  expect(base.data.every((v) => v === 100)).toBe(true);
});

test('a scale bar with two numbers stands at the lower right, on images with room for it', () => {
  const map = Float32Array.of(0, 1, 2, 3);
  const changed = (side: number) => {
    const on = overlayHeatmap(flat(side, side, 90), map, 2, { range: [0, 3] });
    const off = overlayHeatmap(flat(side, side, 90), map, 2, { range: [0, 3], scaleBar: false });
    const at: [number, number][] = [];
    for (let i = 0; i < on.data.length; i += 3) {
      if (on.data[i] !== off.data[i]) at.push([(i / 3) % side, Math.floor(i / 3 / side)]);
    }
    return { on, at };
  };
  expect(changed(40).at).toEqual([]);
  const { on, at } = changed(200);
  expect(Math.min(...at.map(([x]) => x))).toBeGreaterThan(150);
  expect(Math.min(...at.map(([, y]) => y))).toBeGreaterThan(100);
  expect(at.length).toBeGreaterThan(1000);
  expect(at.some(([x, y]) => pixel(on, x, y).every((v) => v === 255))).toBe(true);
});

test('numbers are drawn as they look', () => {
  const image = flat(7, 5, 0);
  drawText(image, '1.', 0, 0, 1, [255, 255, 255]);
  const rows = Array.from({ length: 5 }, (_, y) =>
    Array.from({ length: 7 }, (_, x) => (pixel(image, x, y)[0] ? '#' : ' ')).join(''),
  );
  expect(rows).toEqual([' #     ', '##     ', ' #     ', ' #     ', '###  # ']);
});

test('impossible maps and options are typed errors', () => {
  const image = flat(9, 9, 0);
  expect(() => overlayHeatmap(image, new Float32Array(5), 2)).toThrow(ShapeError);
  expect(() => overlayHeatmap(image, Float32Array.of(1, Number.NaN, 2, 3), 2)).toThrow(ValueError);
  expect(() => mapRange(Float32Array.of(1, Number.POSITIVE_INFINITY))).toThrow(/value 1 is Infinity/);
  expect(() => overlayHeatmap(image, new Float32Array(4), 2, { opacity: 1.5 })).toThrow(OptionError);
  expect(() => overlayHeatmap(image, new Float32Array(4), 2, { range: [2, 1] })).toThrow(OptionError);
});

test('NaN is refused even when the caller gives the range', () => {
  const map = Float32Array.of(1, Number.NaN, 2, 3);
  expect(() => overlayHeatmap(flat(9, 9, 0), map, 2, { range: [0, 1] })).toThrow(ValueError);
});

test('report pictures are small, of one shape, and keep the aspect', () => {
  const { original, heatmap } = reportPictures(flat(2000, 1000, 50), Float32Array.of(0, 1, 2, 3), 2);
  expect([original.width, original.height, heatmap.width, heatmap.height]).toEqual([720, 360, 720, 360]);
  const small = flat(30, 20, 9);
  expect(fitWithin(small, 720)).toBe(small);
  expect(fitWithin(flat(5000, 2, 9), 100)).toMatchObject({ width: 100, height: 1 });
});

test('the contour lies on pixels inside the threshold that border the outside', () => {
  // Left half 0, right half 1, of which a map of its own is outlined.
  const map = Float32Array.from({ length: 64 }, (_, i) => Number(i % 8 >= 4));
  const options = { opacity: 0, scaleBar: false, contour: { threshold: 0.5 } };
  const drawn = overlayHeatmap(flat(8, 8, 10), map, 8, options);
  const painted = (x: number, y: number) => drawn.data[3 * (y * 8 + x)] !== 10;
  for (let y = 0; y < 8; y++) {
    for (let x = 0; x < 8; x++) {
      const border = x === 4 || x === 7 || (x > 4 && (y === 0 || y === 7));
      expect(painted(x, y), `${x},${y}`).toBe(border);
    }
  }
  const other = map.map((v) => 1 - v);
  const turned = overlayHeatmap(flat(8, 8, 10), map, 8, {
    ...options,
    contour: { map: other, threshold: 0.5 },
  });
  expect(turned.data[3 * 3]).not.toBe(10);
  expect(turned.data[3 * 4]).toBe(10);
});

test('PNG goes round exactly, JPEG nearly', async () => {
  const image = { width: 5, height: 3, data: Uint8Array.from({ length: 45 }, (_, i) => (i * 37) & 255) };
  expect(await decodeImage(await encodePng(image), 'a.png')).toEqual(image);
  const gray = await decodeImage(await encodeJpeg(flat(16, 16, 77)), 'a.jpg');
  expect(gray.data.every((v) => Math.abs(v - 77) <= 2)).toBe(true);
});
