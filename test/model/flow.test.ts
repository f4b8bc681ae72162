/** What whole models ask of a device, on one that computes nothing: passes, submissions, pipelines, and their order. */
import { expect, test } from 'vitest';
import { Clip } from '../../src/model/clip';
import { readClipConfig } from '../../src/model/clip-config';
import { Detector } from '../../src/model/detector';
import { mlaLpGraph } from '../../src/model/mla-lp-graph';
import { AUTHORS } from '../../src/model/presets';
import { syntheticCheckpoint, syntheticClip } from '../../src/model/synthetic';
import { PORTABLE } from '../../src/runtime/capabilities';
import { plan } from '../../src/runtime/plan';
import { byteSize } from '../../src/runtime/tensor-type';
import { openSpiedDevice } from '../helpers/spied-device';

const tiny = syntheticClip('tiny');
const config = readClipConfig(tiny);
const checkpoint = syntheticCheckpoint('tiny');
const SIZE = 56;
const OPTIONS = {
  method: 'mla-lp',
  preset: AUTHORS,
  imageSize: SIZE,
  stages: 4,
  text: new Float32Array(2 * config.embed),
} as const;
const VITL14 = {
  config: readClipConfig(syntheticClip('vitl14')),
  preset: AUTHORS,
  activation: AUTHORS.activation,
  imageSize: 240,
  stages: 4,
};
const pixels = new Float32Array(3 * SIZE * SIZE);

test('a batch is one pass, one submission and one readback; equal kernels are compiled once', async () => {
  const spy = await openSpiedDevice();
  const clip = new Clip(spy.gpu, tiny, config, 'f32');
  const detector = await Detector.create(clip, OPTIONS, checkpoint);
  await detector.run([pixels, pixels], 2);
  const texts = spy.calls.filter(({ what }) => what === 'pipeline').map(({ text }) => text);
  expect(new Set(texts).size).toBe(texts.length);
  spy.calls.length = 0;
  await detector.run([pixels, pixels], 2);
  const dispatches = spy.count('dispatch');
  expect(dispatches).toBeGreaterThan(2 * texts.length);
  expect(['pass', 'submit', 'map', 'pipeline', 'buffer', 'write'].map((w) => spy.count(w as 'pass'))).toEqual(
    [1, 1, 1, 0, 0, 2],
  );
});

test('pipelines compile while weights are read and uploaded, those of a later graph behind', async () => {
  let end: () => void = () => {};
  const compiled = new Promise<void>((done) => {
    end = done;
  });
  const spy = await openSpiedDevice({ compiled });
  const clip = new Clip(spy.gpu, tiny, config, 'f32');
  Detector.prepare(clip, OPTIONS, 1);
  expect(spy.calls).toEqual([]);
  const features = clip.encodeText(new Int32Array(77).fill(1), { activation: 'gelu', causal: true });
  while (spy.count('submit') === 0) await new Promise((done) => setTimeout(done, 0));
  const order = spy.calls.map(({ what }) => what);
  // All are asked for before the first byte moves, and all bytes move before any is ready.
  expect(order.lastIndexOf('pipeline')).toBeLessThan(order.indexOf('write'));
  expect(order).not.toContain('dispatch');
  const texts = spy.calls.flatMap(({ what, text }) => (what === 'pipeline' ? [text!] : []));
  const [assemble, patchify] = ['assemble_prompts', 'patchify'].map((kernel) =>
    texts.findIndex((text) => text.includes(kernel === 'patchify' ? 'images' : 'tokens')),
  ) as [number, number];
  expect(assemble).toBeGreaterThanOrEqual(0);
  expect(patchify).toBeGreaterThan(assemble);
  end();
  await features;
});

test('ViT-L/14 at 240 px in f16: weights and 15 % are all that one image takes', () => {
  const p = plan(mlaLpGraph({ ...VITL14, dtype: 'f16', batch: 1 }), { ...PORTABLE, f16: true });
  const bytesOf = (tensors: Iterable<{ type: Parameters<typeof byteSize>[0] }>) =>
    [...tensors].reduce((sum, { type }) => sum + byteSize(type), 0);
  const weights = bytesOf(p.graph.weights.values());
  const peak = weights + bytesOf(p.graph.inputs.values()) + p.arenas.reduce((a, b) => a + b, 0);
  expect(weights).toBeGreaterThan(600e6);
  expect(peak / weights).toBeLessThan(1.15);
});

test('arenas and inputs grow with the batch, and by no more', () => {
  const at = (batch: number) => {
    const options = { config, preset: AUTHORS, activation: AUTHORS.activation, imageSize: 240, stages: 4 };
    const p = plan(mlaLpGraph({ ...options, dtype: 'f32', batch }), PORTABLE);
    return {
      bytes: p.arenas.reduce((a, b) => a + b, 0),
      dispatches: p.steps.reduce((sum, step) => sum + step.dispatches.length, 0),
      flops: p.flops,
    };
  };
  const [one, four, sixteen] = [at(1), at(4), at(16)];
  for (const [many, times] of [
    [four, 4],
    [sixteen, 16],
  ] as const) {
    expect(many.dispatches).toBe(one.dispatches);
    expect(many.flops / one.flops).toBeCloseTo(times, 1);
    expect(many.bytes / one.bytes).toBeLessThan(times * 1.05);
  }
});

test('ViT-L/14: both heads begin with one product a stage, from the bytes that two matrices have', () => {
  const at = (apart: boolean, batch: number) => {
    const graph = mlaLpGraph({ ...VITL14, dtype: 'f32', batch, apart });
    const { steps, flops } = plan(graph, PORTABLE);
    return {
      flops,
      weights: [...graph.weights.values()].reduce((sum, { type }) => sum + byteSize(type), 0),
      dispatches: steps.reduce((sum, step) => sum + step.dispatches.length, 0),
      bytes: steps.reduce((sum, step) => sum + step.bytes, 0),
    };
  };
  const tokens = 4 * 290 * 1024;
  for (const [batch, dispatches, saved] of [
    [1, 278, 8], // with sums over a split K
    [8, 195, 4],
  ] as const) {
    const [joint, apart] = [at(false, batch), at(true, batch)];
    expect(joint).toEqual({
      ...apart,
      dispatches: apart.dispatches - saved,
      bytes: apart.bytes - 4 * batch * tokens,
    });
    expect(joint.dispatches).toBe(dispatches);
  }
});
