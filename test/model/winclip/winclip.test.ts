/** WinCLIP against its own equations in float64, on the tiny CLIP made for 5 x 5 patches. */
import { describe, expect, test } from 'vitest';
import { Clip } from '../../../src/model/clip';
import { readClipConfig } from '../../../src/model/clip-config';
import { imageEmbeddingGraph } from '../../../src/model/clip-graph';
import { packImages } from '../../../src/model/clip-pixels';
import { promptTokens } from '../../../src/model/prompts';
import { syntheticClip } from '../../../src/model/synthetic';
import { WinClipDetector } from '../../../src/model/winclip/detector';
import { winClipGraph } from '../../../src/model/winclip/graph';
import { winClipPrompts } from '../../../src/model/winclip/prompts';
import { windowRows } from '../../../src/model/winclip/windows';
import { PORTABLE } from '../../../src/runtime/capabilities';
import { AbortedError, ValueError } from '../../../src/runtime/errors';
import { plan } from '../../../src/runtime/plan';
import { Random } from '../../../src/runtime/random';
import { openGolden, relativeError } from '../../helpers/goldens';
import { openTestGpu } from '../../helpers/gpu';
import { normalised, onGrid, ReferenceTower } from '../reference-tower';
import { enlarged, fewShot, viewOf, zeroShot } from './reference';

const gpu = await openTestGpu();
const weights = onGrid(await openGolden('tiny/clip.safetensors'), 5);
const tower = await ReferenceTower.read(weights);
const SIZE = tower.size;
const clip = new Clip(gpu, weights, readClipConfig(weights), 'f32');
const random = new Random(7);
const images = Array.from({ length: 3 }, () =>
  Float32Array.from({ length: 3 * SIZE * SIZE }, () => random.uniform(0, 1)),
);
/** Unit rows, normal first. */
const text = (() => {
  const rows = [0, 1].map(() => Array.from({ length: tower.embed }, () => random.normal()));
  return Float32Array.from(rows.flatMap((row) => row.map((v) => v / Math.hypot(...row))));
})();
const options = { activation: 'quick_gelu', imageSize: SIZE, text } as const;

describe('windows', () => {
  test('hold the class token and their patches', () => {
    // A 3 x 3 grid of the second image: tokens from 10 on, class token first.
    const rows = [...windowRows(2, 3, 2)].slice(4 * 5);
    expect(rows).toEqual([10, 11, 12, 14, 15, 10, 12, 13, 15, 16, 10, 14, 15, 17, 18, 10, 15, 16, 18, 19]);
  });
  test('need room', () => {
    expect(() => windowRows(1, 2, 3)).toThrow(/no window of 3 x 3/);
  });
});

describe('prompts', () => {
  test('are the published states and templates', () => {
    const { normal, abnormal } = winClipPrompts('retinal OCT');
    expect([normal.length, abnormal.length]).toEqual([7 * 22, 4 * 22]);
    expect(new Set([...normal, ...abnormal]).size).toBe(11 * 22);
    for (const sentence of [
      'a cropped photo of the retinal OCT.',
      'a jpeg corrupted photo of a unblemished retinal OCT.',
      'a photo of the small retinal OCT without defect.',
      'a photo of a flawless retinal OCT for anomaly detection.',
    ])
      expect(normal).toContain(sentence);
    expect(abnormal).toContain('a close-up photo of the retinal OCT with flaw.');
    expect(abnormal.filter((s) => s.includes('broken'))).toEqual([]);
  });

  test('give a column of the mean of features of their own lengths', async () => {
    const normal = ['Brain', 'a photo of the Brain without flaw.', 'a dark photo of a small flawless Brain.'];
    const tokens = (await promptTokens({ normal, abnormal: normal }, clip.config.context)).normal;
    const features = await clip.encodeText(tokens, { activation: 'quick_gelu', causal: true });
    const { embed } = clip.config;
    const mean = Array.from({ length: embed }, (_, e) =>
      features.reduce((sum, v, i) => (i % embed === e ? sum + v : sum), 0),
    );
    const want = mean.map((v) => v / Math.hypot(...mean));
    expect(relativeError(await clip.fixedColumn(tokens, 'quick_gelu', false), want)).toBeLessThan(1e-5);
    expect(relativeError(await clip.fixedColumn(tokens, 'quick_gelu'), want)).toBeGreaterThan(1e-4);
  });
});

test('pixels are normalised as CLIP was trained, and what is missing is 0', () => {
  const packed = packImages([images[0]!], 2, SIZE, true);
  expect(relativeError(packed.subarray(0, 3 * SIZE * SIZE), normalised(images[0]!))).toBeLessThan(1e-6);
  expect(packed.subarray(3 * SIZE * SIZE).every((v) => v === 0)).toBe(true);
  expect(packImages([images[0]!], 1, SIZE, false)).toEqual(images[0]!);
});

test('zero-shot: score and map', async () => {
  const detector = await WinClipDetector.create(clip, { ...options, normalise: true });
  const found = await detector.run(images.slice(0, 2), 2);
  await detector.destroy();
  for (const [i, detection] of found.entries()) {
    if (detection instanceof ValueError) throw detection;
    const want = zeroShot(viewOf(tower, normalised(images[i]!)), text, tower.grid);
    expect(Math.abs(detection.score / want.score - 1)).toBeLessThan(1e-4);
    expect(relativeError(detection.map, enlarged(want.map, tower.grid, SIZE))).toBeLessThan(1e-4);
  }
});

test('few-shot: score and map with two references', async () => {
  const view = (image: Float32Array) => viewOf(tower, normalised(image));
  const references = { count: 2, load: async (i: number) => images[1 + i]! };
  const want = fewShot(view(images[0]!), [view(images[1]!), view(images[2]!)], text, tower.grid);
  const shape = { ...options, normalise: true };
  const detector = await WinClipDetector.create(clip, shape, references);
  const [found] = await detector.run([images[0]!], 1);
  await detector.destroy();
  if (found instanceof ValueError) throw found;
  expect(Math.abs(found!.score / want.score - 1)).toBeLessThan(1e-4);
  expect(relativeError(found!.map, enlarged(want.map, tower.grid, SIZE))).toBeLessThan(1e-4);
});

test('references: none, and an interruption', async () => {
  const shape = { ...options, normalise: true };
  const none = { count: 0, load: async () => images[0]! };
  await expect(WinClipDetector.create(clip, shape, none)).rejects.toThrow(/needs normal images/);
  const signal = AbortSignal.abort();
  await expect(WinClipDetector.create(clip, shape, { ...none, count: 1, signal })).rejects.toThrow(
    AbortedError,
  );
});

test('ViT-L/14 at 240 px fits a portable device', () => {
  const config = readClipConfig(syntheticClip('vitl14'));
  const shape = { config, activation: 'gelu', dtype: 'f32', batch: 1, imageSize: 240 } as const;
  const { arenas, flops } = plan(winClipGraph(shape), PORTABLE);
  expect(Math.max(...arenas)).toBeLessThan(PORTABLE.maxBindingBytes);
  // The windows' 3530 tokens beside the image's 290.
  const { flops: image } = plan(imageEmbeddingGraph(shape), PORTABLE);
  expect(flops / image).toBeGreaterThan(11);
  expect(flops / image).toBeLessThan(14);
});
