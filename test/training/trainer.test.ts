/** What a trainer promises beyond its numbers: the same bits again, resumption, abortion, memory, honest failures. */
import { describe, expect, test, vi } from 'vitest';
import { blobSpill } from '../../src/io/blob-spill';
import { memoryBytes } from '../../src/io/bytes';
import { openSafetensors } from '../../src/io/safetensors';
import { readTrainingState, trainingStateChunks } from '../../src/io/training-state';
import { MlaLp, type MlaLpOptions } from '../../src/library/node';
import { Clip } from '../../src/model/clip';
import { readClipConfig } from '../../src/model/clip-config';
import { fixedColumns } from '../../src/model/fixed-columns';
import { AUTHORS, PAPER } from '../../src/model/presets';
import { fixedPrompts, type PromptSet } from '../../src/model/prompts';
import { AbortedError, OptionError, OutOfMemoryError, ValueError } from '../../src/runtime/errors';
import { kernelsIdentity, kernelsNote } from '../../src/training/resumable';
import type { TrainingSample } from '../../src/training/samples';
import type { TrainingState } from '../../src/training/state';
import { type StepRecord, Trainer, type TrainerSettings } from '../../src/training/trainer';
import { relativeError } from '../helpers/goldens';
import { openTestGpu } from '../helpers/gpu';
import { TINY_SIZE, tinyCase } from './tiny';

const gpu = await openTestGpu();
// Small images and truncated prompts: what is tested here is not the numbers.
const SIZE = 56;
const TOKENS = 17;
const { golden, weights, init, samples } = await tinyCase(SIZE);
const clip = new Clip(gpu, weights, readClipConfig(weights), 'f32');
const BASE = { preset: PAPER, imageSize: SIZE, batch: 3, init, augment: true, seed: 5 } as const;

/** Trains `steps` steps of a run that is planned to be longer. */
async function train(
  steps: number,
  settings: TrainerSettings = {},
  data: readonly TrainingSample[] = samples,
): Promise<{ records: StepRecord[]; state: TrainingState }> {
  const trainer = await Trainer.create(clip, data, { ...BASE, steps: 6, ...settings });
  const records: StepRecord[] = [];
  try {
    for await (const record of trainer.run()) {
      records.push(record);
      if (records.length === steps) break;
    }
    return { records, state: await trainer.state() };
  } finally {
    await trainer.destroy();
  }
}

function bytesOf(state: TrainingState): Buffer {
  return Buffer.concat([...trainingStateChunks(state)]);
}

/** Through a file's bytes, as a resumed run gets it. */
async function reread(state: TrainingState): Promise<TrainingState> {
  return readTrainingState(await openSafetensors(memoryBytes(Uint8Array.from(bytesOf(state)), 'state')));
}

const plain = (records: readonly StepRecord[]) => records.map(({ ms: _ms, ...rest }) => rest);

test('the same seed gives the same bits, another seed other ones', async () => {
  const [first, second] = [await train(3), await train(3)];
  expect(plain(second.records)).toEqual(plain(first.records));
  expect(bytesOf(second.state).equals(bytesOf(first.state))).toBe(true);
  expect(bytesOf((await train(3, { seed: 6 })).state).equals(bytesOf(first.state))).toBe(false);
});

test('a resumed run goes on as if nothing had happened', async () => {
  const whole = await train(6);
  for (const stop of [1, 4]) {
    const part = await train(stop);
    const rest = await train(6, { resume: await reread(part.state) });
    expect(plain([...part.records, ...rest.records])).toEqual(plain(whole.records));
    expect(bytesOf(rest.state).equals(bytesOf(whole.state))).toBe(true);
  }
});

test('a run that goes on with other kernels says so', async () => {
  const { state } = await train(1);
  const now = kernelsIdentity(gpu);
  expect(state.metadata.get('kernels')).toBe(now);
  const saved = (kernels: string) => ({
    ...state,
    metadata: new Map(state.metadata).set('kernels', kernels),
  });
  expect(kernelsNote(state, now)).toBeUndefined();
  expect(kernelsNote({ ...state, metadata: new Map() }, now)).toBeUndefined();
  expect(kernelsNote(saved('none on some GPU'), now)).toContain('another adapter');
  const resume = saved(`1234-5 on ${gpu.name}`);
  const trainer = await Trainer.create(clip, samples, { ...BASE, steps: 6, resume });
  expect(trainer.describe()).toContain('another table of tuned kernels');
  await trainer.destroy();
});

// Adam: test/training/parity.test.ts.
test.each(['adamw', 'sgd'] as const)('%s lowers the loss', async (optimiser) => {
  const rates = optimiser === 'sgd' ? { adapterRate: 0.02, promptRate: 0.02 } : {};
  const { records } = await train(8, {
    optimiser,
    ...rates,
    weightDecay: 1e-3,
    augment: false,
    batch: 4,
    steps: 8,
    maxNorm: 5,
    schedule: 'cosine',
    warmup: 2,
  });
  expect(records.at(-1)!.loss).toBeLessThan(records[0]!.loss - 0.03);
  expect(records.map((r) => r.rate)[0]).toBeCloseTo((optimiser === 'sgd' ? 0.02 : 1e-4) / 2, 9);
});

describe('method mvfa', () => {
  const own = { normal: ['fine.'], abnormal: ['broken.'] };
  const MVFA = { method: 'mvfa', sentences: own } as const;
  const textOf = async (options: MlaLpOptions) => {
    const model = await MlaLp.load(clip, options);
    await model.destroy();
    return model.text;
  };

  test('trains adapters against fixed sentences, which detection reads out of the model', async () => {
    const trainer = await Trainer.create(clip, samples, { ...BASE, ...MVFA, augment: false, steps: 2 });
    for await (const _ of trainer.run());
    const checkpoint = await trainer.checkpoint();
    await trainer.destroy();
    expect([...checkpoint.tensors.keys()].filter((name) => !/^(seg|det)_adapters\.\d/.test(name))).toEqual(
      [],
    );
    for (const name of checkpoint.tensors.keys()) {
      const same = Buffer.from((await checkpoint.read(name)).buffer).equals(
        Buffer.from((await init.read(name)).buffer),
      );
      expect(same, name).toBe(name.includes('3.fc2'));
    }
    const other = { normal: ['all is well.'], abnormal: ['a lesion.'] };
    const columns = (prompts: PromptSet) => fixedColumns(clip, prompts, PAPER.activation);
    expect(await textOf({ checkpoint, nativePrompts: other })).toEqual(await columns(own));
    expect(await textOf({ checkpoint, prompts: other })).toEqual(await columns(other));
  });

  test("or against MVFA's, which name their object", async () => {
    const trainer = await Trainer.create(clip, samples, {
      ...BASE,
      method: 'mvfa',
      object: 'Brain',
      steps: 2,
    });
    const checkpoint = await trainer.checkpoint();
    await trainer.destroy();
    expect(checkpoint.metadata.get('object')).toBe('Brain');
    const columns = await fixedColumns(clip, fixedPrompts('Brain'), PAPER.activation);
    expect(await textOf({ checkpoint, nativePrompts: own })).toEqual(columns);
  });

  test('is resumed with its own sentences only; mla-lp takes none', async () => {
    const whole = await train(3, MVFA);
    const part = await train(1, MVFA);
    const rest = await train(2, { ...MVFA, resume: await reread(part.state) });
    expect(bytesOf(rest.state).equals(bytesOf(whole.state))).toBe(true);
    const other = { normal: ['fine.'], abnormal: ['torn.'] };
    await expect(train(1, { ...MVFA, sentences: other, resume: part.state })).rejects.toThrow(
      /other sentences/,
    );
    await expect(train(1, { resume: part.state })).rejects.toThrow(/method was "mvfa"/);
    await expect(train(1, { object: 'Brain' })).rejects.toThrow(/learns its prompts/);
  });
});

test('a model says what its memory bank can be made of again', async () => {
  const trainer = await Trainer.create(clip, samples, { ...BASE, steps: 2, about: { dataset: 'Tiny' } });
  const { metadata } = await trainer.state('model');
  await trainer.destroy();
  const normals = samples.filter(({ abnormal }) => !abnormal).map(({ identity }) => identity);
  expect(JSON.parse(metadata.get('normals')!)).toEqual(normals);
  expect(JSON.parse(metadata.get('config')!)).toMatchObject({ augment: true, seed: 5 });
  const said = ['method', 'preset', 'imageSize', 'precision', 'steps', 'dataset'].map((key) =>
    metadata.get(key),
  );
  expect(said).toEqual(['mla-lp', 'paper', '56', 'f32', '2', 'Tiny']);
});

test('a model keeps its text columns, as long as they are those of its prompts', async () => {
  const text: string[] = [];
  const watched = {
    ...weights,
    read(name: string, start?: number, end?: number) {
      if (!name.startsWith('visual.') && end === undefined) text.push(name);
      return weights.read(name, start, end);
    },
  };
  const trainer = await Trainer.create(clip, samples, { ...BASE, augment: false, steps: 1 });
  // A device without room for them still gives its model.
  const compile = vi.spyOn(clip, 'compile').mockRejectedValueOnce(new OutOfMemoryError('full'));
  expect((await trainer.checkpoint()).metadata.has('columns')).toBe(false);
  for await (const _ of trainer.run());
  const checkpoint = await trainer.checkpoint();
  const compiled = compile.mock.calls.length;
  expect((await trainer.checkpoint()).metadata.get('columns')).toBe(checkpoint.metadata.get('columns'));
  expect(compile).toHaveBeenCalledTimes(compiled);
  compile.mockRestore();
  await trainer.destroy();
  const load = async (changes: Partial<typeof checkpoint>, options: MlaLpOptions = {}) => {
    const own = new Clip(gpu, watched, readClipConfig(weights), 'f32');
    const model = await MlaLp.load(own, { ...options, checkpoint: { ...checkpoint, ...changes } });
    await model.destroy();
    own.vision.destroy();
    return model.text;
  };
  const without = new Map([...checkpoint.metadata].filter(([key]) => key !== 'columns'));
  const computed = await load({ metadata: without });
  const reads = text.splice(0).length;
  const kept = await load({});
  expect([reads > 0, text.length]).toEqual([true, 0]);
  expect(relativeError(kept, computed)).toBeLessThan(1e-5);
  // Other prompts, or another preset than that of training, have other columns.
  const changed = await load({
    async read(name, start, end) {
      const values = await checkpoint.read(name, start, end);
      return name === 'prompt_learner.ctx.normal_end' ? values.map((v, i) => v + 0.1 * Math.sin(i)) : values;
    },
  });
  expect(text.splice(0).length).toBe(reads);
  expect(relativeError(changed, kept)).toBeGreaterThan(1e-4);
  await load({}, { preset: 'authors' });
  expect(text.splice(0).length).toBe(reads);
});

test('micro-batches add up to the batch', async () => {
  const whole = await train(2, { batch: 4, augment: false });
  const parts = await train(2, { batch: 4, microBatch: 3, augment: false });
  for (const [i, record] of whole.records.entries()) {
    expect(parts.records[i]!.loss / record.loss).toBeCloseTo(1, 5);
    expect(parts.records[i]!.gradientNorm / record.gradientNorm).toBeCloseTo(1, 4);
  }
});

test('images without masks count for detection only, in one batch with others', async () => {
  const some = samples.map((s, i) => (i === 1 ? { ...s, hasMask: false } : s));
  const mixed = await train(1, { batch: 4, augment: false }, some);
  const all = await train(1, { batch: 4, augment: false });
  const none = await train(
    2,
    { batch: 4, augment: false },
    samples.map((s) => ({ ...s, hasMask: false })),
  );
  expect(mixed.records[0]!.det).toBe(all.records[0]!.det);
  expect(mixed.records[0]!.seg).not.toBe(all.records[0]!.seg);
  expect(none.records[0]!.det).toBe(all.records[0]!.det);
  expect(none.records[0]!.seg).toBe(0);
  for (const [name, { values }] of none.state.parameters) {
    const same = Buffer.from(values.buffer).equals(Buffer.from((await init.read(name)).buffer));
    expect(same, name).toBe(name.startsWith('seg') || name.includes('3.fc2'));
  }
});

test('features that do not fit the device are spilled, or computed again, to the same bits', async () => {
  const roomy = await train(5);
  const probe = await Trainer.create(clip, samples, { ...BASE, steps: 6 });
  const { bytes } = probe.memory;
  await probe.destroy();
  // Room for the step and three of 44 entries.
  const memory = bytes.weights + bytes.activations + bytes.inputs + 3 * TOKENS * 128 * 4;
  let written = 0;
  const spill = async () => {
    const blobs = blobSpill();
    return {
      ...blobs,
      write: (i: number, b: Uint8Array) => {
        written++;
        return blobs.write(i, b);
      },
      read: blobs.read,
      close: blobs.close,
    };
  };
  const tight = { memory };
  expect(bytesOf((await train(5, { ...tight, spill })).state).equals(bytesOf(roomy.state))).toBe(true);
  expect(written).toBeGreaterThan(5);
  expect(bytesOf((await train(5, tight)).state).equals(bytesOf(roomy.state))).toBe(true);
});

test('once all features are cached, the frozen blocks before the first adapter leave the device', async () => {
  const own = new Clip(gpu, weights, readClipConfig(weights), 'f32');
  const settings = { ...BASE, augment: false, batch: 2, steps: 4 };
  const isPrefix = (name: string) => name.startsWith('visual.') && !/resblocks\.[123]\./.test(name);
  const trainer = await Trainer.create(own, samples, settings);
  const frozen: number[] = [];
  const all: number[] = [];
  const records: StepRecord[] = [];
  let half: TrainingState | undefined;
  for await (const record of trainer.run()) {
    records.push(record);
    frozen.push(own.vision.bytes);
    all.push(gpu.allocatedBytes);
    // The first block's weights stay until the second batch has passed, too.
    expect(own.vision.has('visual.transformer.resblocks.0.mlp.c_fc.weight')).toBe(record.step === 1);
    if (record.step === 2) half = await trainer.state();
  }
  const prefix = [...weights.tensors.values()].filter(({ name }) => isPrefix(name));
  const size = prefix.reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
  const freed = frozen[0]! - frozen[1]!;
  expect(freed).toBeGreaterThan(size / 2);
  expect(frozen.slice(2)).toEqual([frozen[1], frozen[1]]);
  // And the arenas that the frozen blocks computed in.
  expect(all[0]! - all[1]!).toBeGreaterThan(1.1 * freed);

  // A model on the same CLIP brings them back and keeps them; a resumed run finds what it needs.
  const checkpoint = await trainer.checkpoint();
  const expected = bytesOf(await trainer.state());
  await trainer.destroy();
  const model = await MlaLp.load(own, { checkpoint });
  const picture = { width: SIZE, height: SIZE, data: new Uint8Array(3 * SIZE * SIZE).fill(99) };
  const [before] = await model.detect([picture]);
  const again = await Trainer.create(own, samples, { ...settings, resume: await reread(half!) });
  const rest: StepRecord[] = [];
  for await (const record of again.run()) rest.push(record);
  expect(plain([...records.slice(0, 2), ...rest])).toEqual(plain(records));
  expect(bytesOf(await again.state()).equals(expected)).toBe(true);
  await again.destroy();
  expect((await model.detect([picture]))[0]!.score).toBe(before!.score);
  await model.destroy();
  own.vision.destroy();
});

test('less memory means more recomputation, to the same bits; too little is refused with numbers', async () => {
  const roomy = await Trainer.create(clip, samples, { ...BASE, steps: 6 });
  const { bytes, recompute } = roomy.memory;
  expect(recompute).toBe(0);
  expect(roomy.describe()).toMatch(/GFLOP in \d+ nodes; .* all activations are kept/);
  await roomy.destroy();
  const memory = bytes.weights + bytes.inputs + Math.floor(bytes.activations * 0.9);
  const tight = await Trainer.create(clip, samples, { ...BASE, steps: 6, memory });
  expect(tight.memory.recompute).toBeGreaterThan(0);
  expect(tight.memory.bytes.activations).toBeLessThan(bytes.activations);
  expect(tight.describe()).toMatch(/\d of 5 blocks are recomputed/);
  await tight.destroy();
  const [a, b] = [await train(2), await train(2, { memory })];
  expect(bytesOf(b.state).equals(bytesOf(a.state))).toBe(true);
  await expect(train(1, { memory: 1e6 })).rejects.toThrow(/A step needs .* MB .* --memory gives 1.0 MB/);
});

test('a signal stops between steps; the state is that of the last one', async () => {
  const trainer = await Trainer.create(clip, samples, { ...BASE, steps: 6 });
  const controller = new AbortController();
  const seen: number[] = [];
  const loop = (async () => {
    for await (const { step } of trainer.run({ signal: controller.signal })) {
      seen.push(step);
      if (step === 2) controller.abort();
    }
  })();
  await expect(loop).rejects.toThrow(AbortedError);
  expect(seen).toEqual([1, 2]);
  expect((await trainer.state()).metadata.get('step')).toBe('2');
  await trainer.destroy();
});

describe('refusals', () => {
  test('a run is resumed with its own options, images and weights only', async () => {
    const { state } = await train(1);
    const resume = (settings: TrainerSettings, data = samples) =>
      train(1, { resume: state, ...settings }, data);
    await expect(resume({ seed: 6 })).rejects.toThrow(/seed was 5 and is now 6/);
    await expect(resume({ batch: 2 })).rejects.toThrow(/batch was 3 and is now 2/);
    const cosine = await train(1, { schedule: 'cosine' });
    const longer = { resume: cosine.state, schedule: 'cosine', steps: 9 } as const;
    await expect(resume(longer)).rejects.toThrow(/total was .*6.* and is now .*9/);
    await expect(resume({}, [...samples.slice(1), samples[0]!])).rejects.toThrow(/other images/);
    const other = { ...state, metadata: new Map(state.metadata).set('weights', 'x') };
    await expect(resume({ resume: other })).rejects.toThrow(/other CLIP weights/);
  });

  test('one class only', async () => {
    const normal = samples.filter((s) => !s.abnormal);
    await expect(train(1, {}, normal)).rejects.toThrow(OptionError);
  });

  test('NaN pixels', async () => {
    const bad = samples.map((s, i) => ({
      ...s,
      load: async () => {
        const { pixels, ...rest } = await s.load();
        if (i === 0) pixels[7] = Number.NaN;
        return { pixels, ...rest };
      },
    }));
    await expect(train(1, { batch: 4, augment: false }, bad)).rejects.toThrow(/Pixel value 7 .* NaN/);
  });

  test('a loss that is not finite stops the run, names the step, and leaves the parameters as they were', async () => {
    const trainer = await Trainer.create(clip, samples, {
      ...BASE,
      augment: false,
      batch: 4,
      steps: 9,
      adapterRate: 1e30,
      promptRate: 1e30,
    });
    const states: TrainingState[] = [];
    const loop = (async () => {
      for await (const _ of trainer.run()) states.push(await trainer.state());
    })();
    await expect(loop).rejects.toThrow(ValueError);
    await loop.catch((error: ValueError) => {
      expect(error.fact).toMatch(new RegExp(`^Step ${states.length + 1}: the (loss|gradient)`));
      expect(error.fact).toMatch(/Nothing was updated/);
    });
    expect(states.length).toBeLessThan(9);
    const last = states.at(-1)!;
    const now = await trainer.state();
    for (const [name, { values }] of last.parameters) {
      expect(
        Buffer.from(values.buffer).equals(Buffer.from(now.parameters.get(name)!.values.buffer)),
        name,
      ).toBe(true);
    }
    await trainer.destroy();
  });
});

test('the memory bank holds the normal images features of every stage and head', async () => {
  const { samples: whole } = await tinyCase();
  const golds = { ...BASE, preset: AUTHORS, imageSize: TINY_SIZE };
  const trainer = await Trainer.create(clip, whole, { ...golds, augment: false, batch: 3, steps: 1 });
  const normal = samples.flatMap((s, i) => (s.abnormal ? [] : [i]));
  const chunks: Float32Array[] = [];
  for await (const rows of trainer.memoryBank()) chunks.push(rows);
  const all = Float32Array.from(chunks.flatMap((c) => [...c]));
  let at = 0;
  for (const { stage, head, shape } of trainer.bankTensors) {
    const [rows, embed] = shape;
    expect(rows).toBe(normal.length * 50);
    const want = await golden.read(`authors.${head}.${stage}`);
    const image = 50 * embed;
    const wanted = normal.flatMap((i) => [...want.subarray(i * image, (i + 1) * image)]);
    expect(relativeError(all.subarray(at, at + rows * embed), wanted), `${head} ${stage}`).toBeLessThan(1e-4);
    at += rows * embed;
  }
  expect(at).toBe(all.length);
  await trainer.destroy();
});

test('f16: a step in parts whose gradients overflow is tried again, to the bits of one that did not', async (context) => {
  context.skip(!gpu.caps.f16, `${gpu.name} has no shader-f16`);
  const half = new Clip(gpu, weights, readClipConfig(weights), 'f16');
  const oneStep = async (resume?: TrainingState) => {
    const settings = {
      ...BASE,
      augment: false,
      batch: 4,
      microBatch: 2,
      steps: 2,
      ...(resume && { resume }),
    };
    const trainer = await Trainer.create(half, samples, settings);
    await trainer.run().next();
    const state = await trainer.state();
    await trainer.destroy();
    return state;
  };
  const first = await oneStep();
  const from = (value: number) => ({
    ...first,
    metadata: new Map(first.metadata).set('scale', JSON.stringify({ value, calm: 0 })),
  });
  const retried = await oneStep(from(2 ** 26));
  const { value } = JSON.parse(retried.metadata.get('scale')!) as { value: number };
  expect(value).toBeLessThan(2 ** 26);
  expect(bytesOf(await oneStep(from(value))).equals(bytesOf(retried))).toBe(true);
  await half.close().catch(() => {});
});

test('f16: frozen weights and activations in half, the curve within 2 %', async (context) => {
  context.skip(!gpu.caps.f16, `${gpu.name} has no shader-f16`);
  const half = new Clip(gpu, weights, readClipConfig(weights), 'f16');
  const run = async (on: Clip) => {
    const trainer = await Trainer.create(on, samples, { ...BASE, augment: false, batch: 4, steps: 8 });
    const losses: number[] = [];
    for await (const { loss } of trainer.run()) losses.push(loss);
    const parameters = (await trainer.state()).parameters;
    await trainer.destroy();
    return { losses, parameters };
  };
  const [f32, f16] = [await run(clip), await run(half)];
  f16.losses.forEach((loss, i) => {
    expect(Math.abs(loss / f32.losses[i]! - 1), `step ${i + 1}`).toBeLessThan(0.02);
  });
  for (const [name, { values }] of f16.parameters) expect(values.every(Number.isFinite), name).toBe(true);
  await half.close().catch(() => {});
});
