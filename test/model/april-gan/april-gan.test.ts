/** APRIL-GAN against its own equations in float64, on the tiny CLIP made for 4 x 4 patches. */
import { describe, expect, test } from 'vitest';
import { hasLinearLayers, openLinearLayers } from '../../../src/io/linear-layers';
import { AprilGanDetector } from '../../../src/model/april-gan/detector';
import { linearName } from '../../../src/model/april-gan/graph';
import { Clip } from '../../../src/model/clip';
import { readClipConfig } from '../../../src/model/clip-config';
import type { TensorSource } from '../../../src/model/tensor-source';
import { ValueError } from '../../../src/runtime/errors';
import { relativeError } from '../../helpers/goldens';
import { openTestGpu } from '../../helpers/gpu';
import { normalised } from '../reference-tower';
import { aprilGanCase } from './case';
import { stagesOf, zeroShot } from './reference';

const gpu = await openTestGpu();
const { weights, tower, images, text, layers, checkpoint } = await aprilGanCase();
const clip = new Clip(gpu, weights, readClipConfig(weights), 'f32');
const options = {
  activation: 'quick_gelu',
  imageSize: tower.size,
  text,
  stages: 4,
  normalise: true,
} as const;

test('zero-shot: score, map and levels', async () => {
  const detector = await AprilGanDetector.create(clip, options, checkpoint);
  const found = await detector.run(images.slice(0, 2), 2);
  await detector.destroy();
  for (const [i, detection] of found.entries()) {
    if (detection instanceof ValueError) throw detection;
    const want = zeroShot(tower, stagesOf(tower, normalised(images[i]!)), layers, text);
    expect(Math.abs(detection.score / want.score - 1)).toBeLessThan(1e-4);
    expect(relativeError(detection.map, want.map)).toBeLessThan(1e-4);
    expect(relativeError(detection.levels, want.levels)).toBeLessThan(1e-4);
  }
});

describe('checkpoints', () => {
  const config = clip.config;
  const renamedTo = (name: (name: string) => string): TensorSource => ({
    ...checkpoint,
    tensors: new Map([...checkpoint.tensors].map(([n, info]) => [name(n), { ...info, name: name(n) }])),
    read: (n, start, end) =>
      checkpoint.read([...checkpoint.tensors.keys()].find((known) => name(known) === n)!, start, end),
  });

  test('are found under the names of a data-parallel run', async () => {
    const { source, stages } = openLinearLayers(
      renamedTo((n) => `module.${n}`),
      config,
    );
    expect(stages).toBe(4);
    expect(await source.read(linearName(3, 'bias'))).toEqual(layers[3]!.bias);
  });

  test.each([
    ['a missing bias', linearName(2, 'bias'), undefined, /fc\.2\.bias is missing/],
    ['another width', linearName(1, 'weight'), [96, 64], /fc\.1\.weight has the shape \[96,64\]/],
  ])('%s is named', (_what, name, shape, message) => {
    const tensors = new Map(checkpoint.tensors);
    if (shape) tensors.set(name, { ...tensors.get(name)!, shape });
    else tensors.delete(name);
    expect(() => openLinearLayers({ ...checkpoint, tensors }, config)).toThrow(message);
  });

  test('without layers are refused', () => {
    expect(hasLinearLayers(checkpoint)).toBe(true);
    expect(hasLinearLayers(weights)).toBe(false);
    expect(() => openLinearLayers(weights, config)).toThrow(/fc\.0\.weight is missing/);
  });
});
