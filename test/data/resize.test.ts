import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { resizeBicubic, resizeNearest, toModelInput } from '../../src/data/resize';
import { decodeImage } from '../../src/platform/node/decode-image';
import { readFixture } from './safetensors';

const images = new URL('../fixtures/images/', import.meta.url);
const expected = readFixture(new URL('expected.safetensors', images));

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
}

// Pillow's own result, byte for byte. The JPEG too: both decoders are libjpeg-turbo's integer DCT.
test.each([...expected.keys()].filter((name) => name !== 'mask.png'))(
  '%s at 240 px is Pillow’s',
  async (name) => {
    const image = await decodeImage(readFileSync(new URL(name, images)), name);
    expect(largestDifference(resizeBicubic(image, 240).data, expected.get(name)!.data)).toBe(0);
  },
);

test('a mask at 240 px is Pillow’s', async () => {
  const image = await decodeImage(readFileSync(new URL('mask.png', images)), 'mask.png');
  const gray = image.data.filter((_, i) => i % 3 === 0);
  const out = resizeNearest(gray, image.width, image.height, 240);
  expect(largestDifference(out, expected.get('mask.png')!.data)).toBe(0);
});

test('the model’s input is planar, 0 to 1, and not normalised', () => {
  const image = { width: 2, height: 1, data: Uint8Array.of(255, 0, 51, 0, 255, 102) };
  const input = toModelInput(image, 2);
  expect(input.length).toBe(12);
  expect([...input.subarray(0, 2)].map((v) => v > 0.5)).toEqual([true, false]);
  expect(input[8]).toBeCloseTo(resizeBicubic(image, 2).data[2]! / 255, 6);
  expect(Math.max(...input)).toBeLessThanOrEqual(1);
});

test('an unchanged size changes nothing', async () => {
  const image = await decodeImage(readFileSync(new URL('upscale.png', images)), 'upscale.png');
  expect(resizeBicubic(image, image.width, image.height).data).toEqual(image.data);
});
