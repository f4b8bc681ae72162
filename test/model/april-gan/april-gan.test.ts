/** APRIL-GAN against its own equations in float64, on the tiny CLIP made for 4 x 4 patches. */
import { describe, expect, test } from 'vitest';
import { memoryBytes } from '../../../src/io/bytes';
import { hasLinearLayers, openLinearLayers } from '../../../src/io/linear-layers';
import { openWeights } from '../../../src/io/open-weights';
import { type Picklable, PyOrderedDict } from '../../../src/io/write-pickle';
import { TorchFile } from '../../../src/io/write-torch';
import { AprilGanDetector } from '../../../src/model/april-gan/detector';
import { aprilGanReferences, linearName } from '../../../src/model/april-gan/graph';
import { Clip } from '../../../src/model/clip';
import { readClipConfig } from '../../../src/model/clip-config';
import { ReferenceBank } from '../../../src/model/reference-bank';
import type { TensorSource } from '../../../src/model/tensor-source';
import { ValueError } from '../../../src/runtime/errors';
import { Graph } from '../../../src/runtime/graph';
import { relativeError } from '../../helpers/goldens';
import { openTestGpu } from '../../helpers/gpu';
import { normalised } from '../reference-tower';
import { aprilGanCase } from './case';
import { referenceMap, stagesOf, zeroShot } from './reference';

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

test('few-shot: the distances to references are added to the map', async () => {
  const stages = images.map((image) => stagesOf(tower, normalised(image)));
  const guided = zeroShot(tower, stages[0]!, layers, text);
  const distances = referenceMap(tower, stages[0]!, stages.slice(1));
  const references = { count: 2, load: async (i: number) => images[1 + i]! };
  const detector = await AprilGanDetector.create(clip, options, checkpoint, references);
  const [found] = await detector.run([images[0]!], 1);
  await detector.destroy();
  if (found instanceof ValueError) throw found;
  expect(Math.abs(found!.score / guided.score - 1)).toBeLessThan(1e-4);
  const want = guided.map.map((v, p) => v + distances[p]!);
  expect(relativeError(found!.map, want)).toBeLessThan(1e-4);
});

test('references of many images are kept in tiles', async () => {
  const shape = {
    config: clip.config,
    activation: 'quick_gelu',
    dtype: 'f32',
    imageSize: tower.size,
    stages: 4,
  } as const;
  const rows = tower.grid ** 2;
  const references = { count: 3, load: async (i: number) => images[i]! };
  const twoImages = 2 * 4 * rows * tower.width;
  const bank = await ReferenceBank.create(clip, aprilGanReferences(shape, true), references, twoImages);
  const g = new Graph();
  expect(bank.tensors(g, 'tokens.1').map((t) => t.shape[0])).toEqual([2 * rows, rows]);
  for (const [tile, members] of [
    [0, [0, 1]],
    [1, [2]],
  ] as const) {
    const want = members.flatMap((i) =>
      stagesOf(tower, normalised(images[i]!))[1]!
        .slice(1)
        .flatMap((x) => [...x].map((v) => v / Math.hypot(...x))),
    );
    expect(relativeError(await bank.store.read(`references.tokens.1.${tile}`), want)).toBeLessThan(1e-4);
  }
  bank.destroy();
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

  test('are read as the authors save them', async () => {
    const file = new TorchFile();
    const { embed, width } = tower;
    const entries = layers.flatMap(({ weight, bias }, stage): [string, Picklable][] => [
      [`fc.${stage}.weight`, file.tensor({ shape: [embed, width], values: Float32Array.from(weight) })],
      [`fc.${stage}.bias`, file.tensor({ shape: [embed], values: Float32Array.from(bias) })],
    ]);
    const state = new PyOrderedDict(new Map(entries));
    const bytes = Buffer.concat([...file.chunks(new Map([['trainable_linearlayer', state]]))]);
    const stored = await openWeights(memoryBytes(Uint8Array.from(bytes), 'visa_pretrained.pth'));
    const { source, stages } = openLinearLayers(stored, config);
    expect(stages).toBe(4);
    for (const part of ['weight', 'bias'] as const)
      expect(await source.read(linearName(2, part))).toEqual(layers[2]![part]);
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
