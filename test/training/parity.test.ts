/** Training against the float64 reference: every gradient and the loss curve of the tiny case, both presets. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Clip } from '../../src/model/clip';
import { readClipConfig } from '../../src/model/clip-config';
import { presetNamed } from '../../src/model/presets';
import { learnablePromptTokens } from '../../src/model/prompts';
import { elementCount } from '../../src/model/tensor-source';
import { loadWeights } from '../../src/model/weight-loader';
import { BufferStore, lookupIn } from '../../src/runtime/buffer-store';
import { Executable } from '../../src/runtime/executable';
import { plan } from '../../src/runtime/plan';
import { sizeOf } from '../../src/runtime/tensor-type';
import { parametersOf } from '../../src/training/parameters';
import { gradientName, prefixGraph, type StepGraphOptions, stepGraph } from '../../src/training/step-graph';
import { Trainer } from '../../src/training/trainer';
import { fixture, relativeError } from '../helpers/goldens';
import { openTestGpu } from '../helpers/gpu';
import { TINY_BATCH, TINY_SIZE, tinyCase } from './tiny';

const gpu = await openTestGpu();
const { golden, weights, init, samples } = await tinyCase();
const numbers = JSON.parse(readFileSync(fixture('tiny/golden.json'), 'utf8'));
const config = readClipConfig(weights);

/** Losses and gradients of one step, all intermediates poisoned. @param columns f32 [2, embed] instead of learned prompts. */
async function oneStep(
  presetName: 'authors' | 'paper',
  recompute: number,
  masks = true,
  columns?: Float32Array<ArrayBuffer>,
) {
  const preset = presetNamed(presetName);
  const clip = new Clip(gpu, weights, config, 'f32');
  const parameters = parametersOf(config, 4, columns ? 0 : 8);
  const prompts = await clip.promptInputs(
    await learnablePromptTokens(8, config.context),
    preset.causalPrompts,
  );
  const options: StepGraphOptions = {
    config,
    activation: preset.activation,
    dtype: 'f32',
    preset,
    batch: TINY_BATCH,
    imageSize: TINY_SIZE,
    stages: 4,
    masks,
    augment: false,
    ...(!columns && { prompts: { counts: prompts.counts, length: prompts.length } }),
    parameters,
    recompute,
  };
  const store = new BufferStore(gpu);
  for (const { name, shape } of parameters) {
    await store.create(name, { dtype: 'f32', shape });
    await store.write(name, await init.read(name));
    await store.create(gradientName(name), { dtype: 'f32', shape });
    // What an earlier step left must not show.
    await store.write(gradientName(name), new Float32Array(elementCount(shape)).fill(Number.NaN));
  }
  if (columns) {
    await store.create('text.columns', { dtype: 'f32', shape: [2, config.embed] });
    await store.write('text.columns', columns);
  }
  const count = prompts.ends.length;
  await store.create('prompt.tokens', { dtype: 'f32', shape: [count, prompts.length, config.textWidth] });
  await store.write('prompt.tokens', prompts.tokens);
  await store.create('prompt.ends', { dtype: 'u32', shape: [count] });
  await store.write('prompt.ends', Float32Array.from(prompts.ends));
  const frozen = new BufferStore(gpu);
  const compile = async (graph: ReturnType<typeof stepGraph>) => {
    const missing = new Map([...graph.weights].filter(([name]) => !store.has(name)));
    await loadWeights({ weights: missing }, frozen, [weights]);
    return Executable.compile(gpu, plan(graph, gpu.caps), lookupIn(store, frozen), { poison: true });
  };
  const prefix = await compile(prefixGraph(options));
  const { features } = await prefix.run({ images: await golden.read('images') });
  const graph = stepGraph(options);
  const executable = await compile(graph);
  const losses = await executable.run({
    features: features!,
    labels: await golden.read('labels'),
    detWeights: new Float32Array(TINY_BATCH).fill(1 / TINY_BATCH),
    scale: Float32Array.of(1),
    keep: Float32Array.of(0, 1),
    ...(masks && {
      segWeights: new Float32Array(TINY_BATCH).fill(1 / TINY_BATCH),
      masks: await golden.read('masks'),
    }),
  });
  const gradients = new Map<string, Float32Array>();
  for (const { name } of parameters) gradients.set(name, await store.read(gradientName(name)));
  prefix.destroy();
  executable.destroy();
  store.destroy();
  frozen.destroy();
  await clip.vision.destroy();
  return { losses, gradients, graph };
}

const sum = (losses: Record<string, ArrayLike<number>>, kind: string) =>
  Object.entries(losses)
    .filter(([name]) => name.startsWith(kind))
    .reduce((total, [, values]) => total + Array.from(values).reduce((a, b) => a + b, 0), 0);

describe.each(['authors', 'paper'] as const)('preset %s', (name) => {
  const want = numbers.presets[name];

  test('losses and every gradient', async () => {
    const { losses, gradients } = await oneStep(name, 0);
    expect(sum(losses, 'det.') / want.det_loss - 1).toBeCloseTo(0, 4);
    expect(sum(losses, 'seg.') / want.seg_loss - 1).toBeCloseTo(0, 4);
    for (const [parameter, got] of gradients) {
      // Nothing follows the last stage's second matrices: not even a zero is written.
      if (/3\.fc2/.test(parameter)) {
        expect(want.grad_norms[parameter]).toBe(0);
        expect(got.every(Number.isNaN)).toBe(true);
        continue;
      }
      const golden_ = await golden.read(`${name}.grad.${parameter}`);
      expect(relativeError(got, golden_), parameter).toBeLessThan(1e-4);
    }
  });

  test('20 steps of Adam follow the reference', async () => {
    const clip = new Clip(gpu, weights, config, 'f32');
    const trainer = await Trainer.create(clip, samples, {
      preset: presetNamed(name),
      imageSize: TINY_SIZE,
      batch: TINY_BATCH,
      steps: want.loss_curve.length,
      augment: false,
      shuffle: false,
      init,
    });
    const losses: number[] = [];
    for await (const { loss } of trainer.run()) losses.push(loss);
    expect(losses).toHaveLength(20);
    losses.forEach((loss, i) => {
      expect(Math.abs(loss / want.loss_curve[i] - 1), `step ${i + 1}`).toBeLessThan(1e-3);
    });
    await trainer.destroy();
    await clip.vision.destroy();
  });
});

test.each(['authors', 'paper'] as const)(
  'fixed text columns, preset %s: the same losses and gradients of adapters',
  async (name) => {
    const text = await golden.read(`${name}.text`);
    const columns = Float32Array.from({ length: text.length }, (_, i) => {
      const [column, c] = [Math.floor(i / config.embed), i % config.embed];
      return text[2 * c + column]!;
    });
    const want = numbers.presets[name];
    const { losses, gradients, graph } = await oneStep(name, 0, true, columns);
    expect(sum(losses, 'det.') / want.det_loss - 1).toBeCloseTo(0, 4);
    expect(sum(losses, 'seg.') / want.seg_loss - 1).toBeCloseTo(0, 4);
    expect(gradients.size).toBe(16);
    for (const [parameter, got] of gradients) {
      if (/3\.fc2/.test(parameter)) continue;
      expect(relativeError(got, await golden.read(`${name}.grad.${parameter}`)), parameter).toBeLessThan(
        1e-4,
      );
    }
    // The text tower is no part of the step.
    expect([...graph.weights.keys()].filter((weight) => weight.startsWith('transformer.'))).toEqual([]);
  },
);

test('recomputed blocks change no bit', async () => {
  const kept = await oneStep('paper', 0);
  for (const recompute of [1, 99]) {
    const again = await oneStep('paper', recompute);
    expect(again.graph.nodes.length).toBeGreaterThan(kept.graph.nodes.length);
    for (const [name, gradient] of kept.gradients) {
      expect(
        Buffer.compare(Buffer.from(gradient.buffer), Buffer.from(again.gradients.get(name)!.buffer)),
        name,
      ).toBe(0);
    }
  }
});

test('what is frozen gets no gradient, and nothing flows below the first adapter', async () => {
  const { graph } = await oneStep('paper', 0);
  const trained = new Set(parametersOf(config, 4, 8).map(({ shape }) => shape.join()));
  const written = graph.nodes.filter((node) => node.op.writes);
  expect(written).toHaveLength(16);
  const planned = plan(graph, gpu.caps).steps.map(({ node }) => node);
  const weightGradients = planned.filter(
    ({ op, attrs }) => op.name === 'gemm' && (attrs as { x?: string }).x === 'km',
  );
  expect(weightGradients).toHaveLength(14);
  for (const { outputs } of weightGradients) expect(trained.has(outputs[0]!.shape.join())).toBe(true);
  // The first stage's input is no trained tensor: no node of its own gradient stands in the plan.
  const stage0 = planned.filter(({ label }) => label.startsWith('grad stage0/'));
  const featureShape = graph.inputs.get('features')!.shape.join();
  const gemms = stage0.filter(
    ({ op, outputs }) => op.name === 'gemm' && outputs[0]!.shape.join() === featureShape,
  );
  expect(gemms).toHaveLength(0);
  expect(planned.some(({ label }) => /3\.fc2/.test(label))).toBe(false);
});

test('of the last text block, what nobody reads is not computed', async () => {
  const { graph } = await oneStep('paper', 0);
  const prompts = graph.weights.get('prompt.ends')!.shape[0]!;
  const rowsOf = (block: number) =>
    graph.nodes
      .filter(({ op, label }) => op.name === 'gemm' && label.startsWith(`text${block}/`))
      .map(({ outputs: [y] }) => sizeOf(y!.type) / y!.shape.at(-1)!);
  const all = rowsOf(config.textLayers - 2)[0]!;
  expect(rowsOf(config.textLayers - 2)).toEqual([all, all, all, all]);
  expect(rowsOf(config.textLayers - 1)).toEqual([all, prompts, prompts, prompts]);
  expect(all).toBeGreaterThan(prompts);
});

test('without masks only detection adapters and prompts get gradients', async () => {
  const { losses, gradients } = await oneStep('paper', 0, false);
  expect(Object.keys(losses).every((name) => name.startsWith('det.'))).toBe(true);
  for (const [name, gradient] of gradients) {
    const trained = !name.startsWith('seg') && !/3\.fc2/.test(name);
    expect(gradient.every(Number.isFinite), name).toBe(trained);
  }
});
