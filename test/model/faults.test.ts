/** Bad weights and bad days: each a typed error that names the fact, never zeros and never a score. */
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { makePhantom } from '../../src/data/phantoms';
import { loadClip, MlaLp } from '../../src/library/node';
import { Clip } from '../../src/model/clip';
import { readClipConfig } from '../../src/model/clip-config';
import { imageEmbeddingGraph } from '../../src/model/clip-graph';
import { Detector } from '../../src/model/detector';
import { AUTHORS } from '../../src/model/presets';
import { syntheticCheckpoint, syntheticClip } from '../../src/model/synthetic';
import type { TensorSource } from '../../src/model/tensor-source';
import { acquireAdapter } from '../../src/platform/node/adapter';
import { Gpu } from '../../src/runtime/device';
import {
  BadFileError,
  DeviceLostError,
  LimitError,
  UnsupportedFeatureError,
  ValueError,
} from '../../src/runtime/errors';
import { plan } from '../../src/runtime/plan';
import { fixture } from '../helpers/goldens';
import { openTestGpu } from '../helpers/gpu';

const gpu = await openTestGpu();
const weights = syntheticClip('tiny');
const config = readClipConfig(weights);
const SIZE = 28;
const text = Float32Array.from(
  { length: 2 * config.embed },
  (_, i) => Math.sin(i) / Math.sqrt(config.embed / 2),
);
const pixels = new Float32Array(3 * SIZE * SIZE).fill(0.5);

/** The tiny weights with one value changed. */
function damaged(name: string, value: number): TensorSource {
  return {
    ...weights,
    async read(wanted, start = 0, end) {
      const values = await weights.read(wanted, start, end);
      if (wanted === name) values[7] = value;
      return values;
    },
  };
}

function detector(source: TensorSource, on = gpu) {
  const clip = new Clip(on, source, config, 'f32');
  const options = { method: 'mla-lp', preset: AUTHORS, imageSize: SIZE, text, stages: 4 } as const;
  return Detector.create(clip, options, syntheticCheckpoint('tiny'));
}

test.each([Number.NaN, Number.POSITIVE_INFINITY])('a weight that is %s is refused by name', async (value) => {
  const broken = await detector(damaged('visual.transformer.resblocks.2.mlp.c_fc.weight', value));
  const error = await broken.run([pixels], 1).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(ValueError);
  expect(String(error)).toContain('visual.transformer.resblocks.2.mlp.c_fc.weight');
});

test('finite weights that overflow give no score', async () => {
  const broken = await detector(damaged('visual.transformer.resblocks.0.mlp.c_proj.bias', 3e38));
  const [result] = await broken.run([pixels], 1);
  expect(result).toBeInstanceOf(ValueError);
});

test('NaN pixels are refused', async () => {
  const clip = new Clip(gpu, weights, config, 'f32');
  const bad = Float32Array.from(pixels);
  bad[5] = Number.NaN;
  await expect(clip.encodeImages(bad, SIZE, 'gelu')).rejects.toThrow(/Pixel value 5 is NaN/);
});

test('a missing tensor is named before anything is uploaded', async () => {
  const tensors = new Map(weights.tensors);
  tensors.delete('visual.ln_pre.bias');
  const clip = new Clip(gpu, { ...weights, tensors }, config, 'f32');
  const before = gpu.allocatedBytes;
  const error = await clip.encodeImages(pixels, SIZE, 'gelu').catch((e: unknown) => e);
  expect(error).toBeInstanceOf(BadFileError);
  expect(String(error)).toContain('visual.ln_pre.bias');
  expect(gpu.allocatedBytes).toBe(before);
});

test.skipIf(gpu.caps.f16)('f16 without shader-f16 names the feature and the remedy', () => {
  expect(() => new Clip(gpu, weights, config, 'f16')).toThrow(UnsupportedFeatureError);
  expect(() => new Clip(gpu, weights, config, 'f16')).toThrow(/shader-f16.*--precision f32/);
});

test('a tensor over the binding limit is refused while planning, with both numbers', async () => {
  const graph = imageEmbeddingGraph({ config, activation: 'gelu', dtype: 'f32', batch: 1, imageSize: SIZE });
  const small = { ...gpu.caps, maxBindingBytes: 4096 };
  expect(() => plan(graph, small)).toThrow(LimitError);
  expect(() => plan(graph, small)).toThrow(
    /maxStorageBufferBindingSize: \d+ is needed, this device has 4096/,
  );
  const huge = [{ label: 'huge', bytes: gpu.caps.maxBufferBytes + 16, usage: 0x80 }];
  await expect(gpu.allocate(huge)).rejects.toThrow(LimitError);
});

test('a token outside the vocabulary is refused', async () => {
  await expect(
    new Clip(gpu, weights, config, 'f32').encodeText(new Int32Array(77).fill(-1), {
      activation: 'gelu',
      causal: true,
    }),
  ).rejects.toThrow(/vocabulary/);
});

test('a device destroyed at any moment rejects everything', async () => {
  for (const delay of [0, 5, 60]) {
    const own = await Gpu.open(await acquireAdapter());
    const lost = await detector(weights, own);
    const run = lost.run([pixels], 1);
    const settled = run.then(
      () => 'finished',
      (error: unknown) => error,
    );
    await new Promise((done) => setTimeout(done, delay));
    own.destroy();
    // From here on: destroy itself waits for a software adapter's compiler.
    const start = performance.now();
    const outcome = await settled;
    // Against hanging; a busy machine may take its time.
    expect(performance.now() - start).toBeLessThan(20_000);
    if (outcome !== 'finished') expect(outcome).toBeInstanceOf(DeviceLostError);
    await expect(lost.run([pixels], 1)).rejects.toThrow(DeviceLostError);
    expect(own.isLost).toBe(true);
  }
});

test('opening and closing models leaves nothing on the device', async () => {
  const clip = new Clip(gpu, weights, config, 'f32');
  const cycle = async () => {
    const d = await Detector.create(
      clip,
      { method: 'mla-lp', preset: AUTHORS, imageSize: SIZE, text, stages: 4 },
      syntheticCheckpoint('tiny'),
    );
    await d.run([pixels], 1);
    await d.destroy();
  };
  await cycle();
  const after = gpu.allocatedBytes;
  for (let i = 0; i < 5; i++) await cycle();
  expect(gpu.allocatedBytes).toBe(after);
});

test('refused weights are refused again, not taken for loaded ones', async () => {
  const broken = await detector(damaged('visual.transformer.resblocks.1.mlp.c_fc.weight', Number.NaN));
  await expect(broken.run([pixels], 1)).rejects.toThrow(ValueError);
  await expect(broken.run([pixels], 1)).rejects.toThrow(ValueError);
});

test('models made at the same time from one CLIP do not disturb each other', async () => {
  const clip = await loadClip(gpu, 'synthetic:tiny');
  const options = { checkpoint: 'synthetic:tiny', imageSize: SIZE } as const;
  const models = await Promise.all([
    MlaLp.load(clip, { ...options, preset: 'authors' }),
    MlaLp.load(clip, { ...options, preset: 'paper' }),
  ]);
  const image = makePhantom(1, { size: SIZE }).image;
  const [together] = await Promise.all(models.map((model) => model.detect([image])));
  const alone = await MlaLp.load(clip, { ...options, preset: 'authors' });
  expect(together![0]!.levels).toEqual((await alone.detect([image]))[0]!.levels);
});

test.skipIf(process.platform === 'win32')('a refused file is closed', async () => {
  const open = () => readdirSync('/dev/fd').length;
  const before = open();
  for (let i = 0; i < 5; i++) {
    await expect(loadClip(gpu, fixture('tiny/init.safetensors'))).rejects.toThrow(BadFileError);
  }
  expect(open()).toBeLessThanOrEqual(before);
});
