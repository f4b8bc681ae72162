/** Training of APRIL-GAN's linear layers against float64: losses, gradients by central differences, and what is refused. */
import { expect, test } from 'vitest';
import { openLinearLayers } from '../../src/io/linear-layers';
import { linearName } from '../../src/model/april-gan/graph';
import { Clip } from '../../src/model/clip';
import { readClipConfig } from '../../src/model/clip-config';
import { fixedColumns } from '../../src/model/fixed-columns';
import { PAPER } from '../../src/model/presets';
import type { TrainingSample } from '../../src/training/samples';
import { type StepRecord, Trainer, type TrainerSettings } from '../../src/training/trainer';
import { relativeError } from '../helpers/goldens';
import { openTestGpu } from '../helpers/gpu';
import { aprilGanCase } from '../model/april-gan/case';
import { segmentationLoss, stageMap, stagesOf } from '../model/april-gan/reference';
import { normalised, type Vector } from '../model/reference-tower';

const gpu = await openTestGpu();
const { weights, tower, images, layers, checkpoint } = await aprilGanCase();
const clip = new Clip(gpu, weights, readClipConfig(weights), 'f32');
const sentences = { normal: ['a photo of a Brain.'], abnormal: ['a photo of a damaged Brain.'] };
const pixels = tower.size ** 2;
/** Blank, a rectangle, a stripe. */
const masks = [
  () => 0,
  (p: number) => Number(p % tower.size < 20 && p < pixels / 2),
  (p: number) => Number(p % 9 === 0),
].map((at) => Uint8Array.from({ length: pixels }, (_, p) => at(p)));
const samples = masks.map(
  (mask, i): TrainingSample => ({
    abnormal: i > 0,
    hasMask: true,
    identity: String(i),
    load: async () => ({ pixels: images[i]!, mask }),
  }),
);
const BASE: TrainerSettings = {
  method: 'april-gan',
  preset: PAPER,
  imageSize: tower.size,
  batch: 3,
  steps: 1,
  augment: false,
  shuffle: false,
  sentences,
  init: checkpoint,
};

async function recordsOf(trainer: Trainer): Promise<StepRecord[]> {
  const records: StepRecord[] = [];
  for await (const record of trainer.run()) records.push(record);
  return records;
}

test('a step: loss and gradients, in one part and in two', async () => {
  const text = await fixedColumns(clip, sentences, PAPER.activation);
  const tokens = images.map((image) => stagesOf(tower, normalised(image)));
  const lossOf = (stage: number, layer: { weight: ArrayLike<number>; bias: ArrayLike<number> }) =>
    segmentationLoss(
      tokens.map((stages) => stageMap(stages[stage] as Vector[], layer, text, tower.grid, tower.size)),
      masks,
    );
  const want = layers.reduce((sum, layer, stage) => sum + lossOf(stage, layer), 0);
  // Plain gradient descent: the parameters' change is the gradient.
  const RATE = 8;
  const found: Map<string, Float64Array>[] = [];
  for (const microBatch of [3, 2]) {
    const settings = { ...BASE, optimiser: 'sgd', adapterRate: RATE, microBatch } as const;
    const trainer = await Trainer.create(clip, samples, settings);
    const [record] = await recordsOf(trainer);
    expect(Math.abs(record!.loss / want - 1)).toBeLessThan(1e-4);
    expect(record!.det).toBe(0);
    const { source } = openLinearLayers(await trainer.checkpoint(), clip.config);
    await trainer.destroy();
    const gradients = new Map<string, Float64Array>();
    for (const name of source.tensors.keys()) {
      const [before, after] = [await checkpoint.read(name), await source.read(name)];
      gradients.set(
        name,
        Float64Array.from(after, (v, i) => (before[i]! - v) / RATE),
      );
    }
    found.push(gradients);
  }
  const [whole, parts] = found as [Map<string, Float64Array>, Map<string, Float64Array>];
  for (const [name, gradient] of whole) expect(relativeError(parts.get(name)!, gradient)).toBeLessThan(1e-4);
  for (const [stage, part] of [
    [0, 'weight'],
    [3, 'weight'],
    [1, 'bias'],
  ] as const) {
    const gradient = whole.get(linearName(stage, part))!;
    // The element that matters most, and one of the middle.
    const order = [...gradient.keys()].sort((a, b) => Math.abs(gradient[b]!) - Math.abs(gradient[a]!));
    for (const i of [order[0]!, order[order.length >> 2]!]) {
      const at = (shift: number) => {
        const moved = Float64Array.from(layers[stage]![part]);
        moved[i]! += shift;
        return lossOf(stage, { ...layers[stage]!, [part]: moved });
      };
      const slope = (at(1e-4) - at(-1e-4)) / 2e-4;
      const tolerance = 1e-3 * Math.abs(gradient[order[0]!]!);
      expect(Math.abs(gradient[i]! - slope), `${part} ${stage} ${i}`).toBeLessThan(tolerance);
    }
  }
});

test('it learns at the published rate, and says what it was made of', async () => {
  const trainer = await Trainer.create(clip, samples, { ...BASE, steps: 12 });
  const records = await recordsOf(trainer);
  expect(records[0]!.rate).toBe(1e-3);
  expect(records.at(-1)!.loss).toBeLessThan(0.95 * records[0]!.loss);
  const { metadata } = await trainer.checkpoint();
  expect([metadata.get('method'), metadata.get('imageSize')]).toEqual(['april-gan', String(tower.size)]);
  expect(() => trainer.bankTensors).toThrow(/method april-gan has none/);
  await trainer.destroy();
});

test('fresh layers: weights and biases within 1 / sqrt(width)', async () => {
  const { init: _none, ...fresh } = BASE;
  const trainer = await Trainer.create(clip, samples, fresh);
  const { parameters } = await trainer.state('model');
  await trainer.destroy();
  expect([...parameters.keys()]).toEqual(
    [0, 1, 2, 3].flatMap((stage) => [linearName(stage, 'weight'), linearName(stage, 'bias')]),
  );
  const bound = 1 / Math.sqrt(tower.width);
  for (const { values } of parameters.values()) {
    const most = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    expect(most).toBeLessThanOrEqual(bound);
    expect(most).toBeGreaterThan(0.9 * bound);
  }
});

test('images without masks teach it nothing', async () => {
  const some = [...samples, { ...samples[1]!, hasMask: false, identity: 'no mask' }];
  await expect(Trainer.create(clip, some, BASE)).rejects.toThrow(/learns from masks alone/);
});
