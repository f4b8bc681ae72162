/** The eleven augmentations against grid_sample's images, and what must be exact. */
import { afterAll, describe, expect, test } from 'vitest';
import { uniformAt } from '../../src/kernels/suite';
import { firstMismatch } from '../../src/kernels/tolerance';
import { augmentations } from '../../src/kernels/warp/augmentations';
import { warpReference } from '../../src/kernels/warp/reference';
import { warp } from '../../src/kernels/warp/warp';
import { BufferStore } from '../../src/runtime/buffer-store';
import { Executable } from '../../src/runtime/executable';
import { Graph } from '../../src/runtime/graph';
import { plan } from '../../src/runtime/plan';
import { tensorType } from '../../src/runtime/tensor-type';
import { openGolden } from '../helpers/goldens';
import { openTestGpu } from '../helpers/gpu';

const gpu = await openTestGpu();
const ALL = augmentations();

/** Each version of one image [channels, side, side]. */
async function versionsOf(
  image: Float32Array,
  channels: number,
  threshold = false,
  matrices = ALL.map(({ matrix }) => matrix),
): Promise<Float32Array[]> {
  const side = Math.sqrt(image.length / channels);
  const g = new Graph();
  const n = matrices.length;
  const x = g.input('x', 'f32', [n, channels, side, side]);
  g.output('y', warp(g, x, g.input('transforms', 'f32', [n, 6]), { threshold }));
  const executable = await Executable.compile(gpu, plan(g, gpu.caps), new BufferStore(gpu), { poison: true });
  const { y } = await executable.run({
    x: Float32Array.from({ length: n * image.length }, (_, i) => image[i % image.length]!),
    transforms: Float32Array.from(matrices.flat()),
  });
  executable.destroy();
  return matrices.map((_, i) => (y as Float32Array).subarray(i * image.length, (i + 1) * image.length));
}

/** The first element that differs at all. */
function difference(got: Float32Array, want: Float32Array) {
  return firstMismatch(got, want, { atol: 0, rtol: 0 });
}

test('there are eleven, in the order that the few-shot lists are expanded in', () => {
  expect(ALL.map(({ name }) => name.split(' ')[0])).toEqual([
    'identity',
    ...Array.from({ length: 4 }, () => 'rotation'),
    ...Array.from({ length: 4 }, () => 'translation'),
    'horizontal',
    'vertical',
  ]);
  expect(ALL.every(({ matrix }) => matrix.length === 6)).toBe(true);
});

describe('goldens', async () => {
  const golden = await openGolden('tiny/golden.safetensors');
  const wantImages = await golden.read('augment.images');
  const wantMasks = await golden.read('augment.mask');
  afterAll(() => golden.close());
  const pixels = wantMasks.length / ALL.length;
  const image = (await golden.read('images')).subarray(0, 3 * pixels);
  const mask = (await golden.read('masks')).subarray(pixels, 2 * pixels); // the second: the first is empty
  const images = await versionsOf(image, 3);
  const soft = await versionsOf(mask, 1);
  const masks = await versionsOf(mask, 1, true);

  test.each(ALL.map(({ name }, i) => [name, i] as const))('%s', (_name, i) => {
    const want = wantImages.subarray(i * 3 * pixels, (i + 1) * 3 * pixels);
    const wantMask = wantMasks.subarray(i * pixels, (i + 1) * pixels);
    expect(firstMismatch(images[i]!, want, { atol: 1e-5, rtol: 0 })).toBeUndefined();
    expect(firstMismatch(soft[i]!, wantMask, { atol: 1e-5, rtol: 0 })).toBeUndefined();
    expect(
      difference(
        masks[i]!,
        wantMask.map((v) => Number(v > 0.5)),
      ),
    ).toBeUndefined();
    expect(masks[i]!.some((v) => v === 1)).toBe(true);
  });
});

describe.each([17, 50, 240])('%i px', (side) => {
  const image = Float32Array.from({ length: side * side }, (_, i) => uniformAt(i));
  const at = (row: number, column: number) => image[row * side + column]!;
  const byPixel = (value: (row: number, column: number) => number) =>
    Float32Array.from({ length: side * side }, (_, i) => value(Math.floor(i / side), i % side));

  test('identity and flips copy exactly', async () => {
    const [same, across, down] = await versionsOf(image, 1, false, [
      ALL[0]!.matrix,
      ALL[9]!.matrix,
      ALL[10]!.matrix,
    ]);
    expect(difference(same!, image)).toBeUndefined();
    expect(
      difference(
        across!,
        byPixel((row, column) => at(row, side - 1 - column)),
      ),
    ).toBeUndefined();
    expect(
      difference(
        down!,
        byPixel((row, column) => at(side - 1 - row, column)),
      ),
    ).toBeUndefined();
  });

  test('sources a side away are mirrored, two sides away the image itself', async () => {
    const [twice, once] = await versionsOf(image, 1, false, [
      [1, 0, 4, 0, 1, -4],
      [1, 0, 2, 0, 1, 0],
    ]);
    expect(difference(twice!, image)).toBeUndefined();
    expect(
      difference(
        once!,
        byPixel((row, column) => at(row, side - 1 - column)),
      ),
    ).toBeUndefined();
  });
});

test('at 240 px no rounding but that of the matrices moves a source', async () => {
  const image = Float32Array.from({ length: 240 * 240 }, (_, i) => uniformAt(i));
  const type = tensorType('f32', [1, 1, 240, 240]);
  const call = { inputs: [type], outputs: [type], attrs: { threshold: false } };
  for (const { matrix } of ALL.slice(1, 9)) {
    const [got] = await versionsOf(image, 1, false, [matrix]);
    const [want] = warpReference(
      [image, Float32Array.from(matrix)].map((v) => Float64Array.from(v)),
      call,
    );
    expect(firstMismatch(got!, want!, { atol: 1e-6, rtol: 0 })).toBeUndefined();
  }
});

test('a mask moved by half a pixel: ties are 0', async () => {
  const side = 50; // 0.1 is two and a half pixels
  const mask = Float32Array.from({ length: side * side }, (_, i) => Number(uniformAt(i) > 0));
  const mirrored = (i: number) => (i < 0 ? -1 - i : i >= side ? 2 * side - 1 - i : i);
  for (const { matrix } of ALL.slice(5, 9)) {
    const [moved] = await versionsOf(mask, 1, true, [matrix]);
    const [dx, dy] = [matrix[2]! * 25, matrix[5]! * 25];
    const want = mask.map((_, i) => {
      const [row, column] = [Math.floor(i / side) + dy, (i % side) + dx];
      let sum = 0;
      for (const r of [Math.floor(row), Math.ceil(row)])
        for (const c of [Math.floor(column), Math.ceil(column)])
          sum += mask[mirrored(r) * side + mirrored(c)]! / 4;
      return Number(sum > 0.5);
    });
    expect(difference(moved!, want)).toBeUndefined();
  }
});
