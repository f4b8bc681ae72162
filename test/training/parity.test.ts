/** Training against the float64 reference: every gradient and the loss curve's begin of the tiny case, both presets. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readClipConfig } from '../../src/model/clip-config';
import { presetNamed } from '../../src/model/presets';
import { plan } from '../../src/runtime/plan';
import { sizeOf } from '../../src/runtime/tensor-type';
import { parametersOf } from '../../src/training/parameters';
import { fixture, relativeError } from '../helpers/goldens';
import { openTestGpu } from '../helpers/gpu';
import { oneStep, totalLoss } from '../helpers/one-step';
import { followsReference } from './loss-curve';
import { TINY_SIZE, tinyCase } from './tiny';

const gpu = await openTestGpu();
const { golden, weights, init } = await tinyCase();
const numbers = JSON.parse(readFileSync(fixture('tiny/golden.json'), 'utf8'));
const config = readClipConfig(weights);

/** Of the tiny case, all intermediates poisoned. @param columns f32 [2, embed] instead of learned prompts. */
async function tinyStep(
  preset: 'authors' | 'paper',
  recompute: number,
  masks = true,
  columns?: Float32Array<ArrayBuffer>,
) {
  return oneStep(gpu, {
    weights,
    init,
    preset: presetNamed(preset),
    imageSize: TINY_SIZE,
    images: await golden.read('images'),
    labels: await golden.read('labels'),
    ...(masks && { masks: await golden.read('masks') }),
    recompute,
    ...(columns && { columns }),
    poison: true,
  });
}

describe.each(['authors', 'paper'] as const)('preset %s', (name) => {
  const want = numbers.presets[name];

  test('losses and every gradient', async () => {
    const { losses, gradients } = await tinyStep(name, 0);
    expect(totalLoss(losses, 'det.') / want.det_loss - 1).toBeCloseTo(0, 4);
    expect(totalLoss(losses, 'seg.') / want.seg_loss - 1).toBeCloseTo(0, 4);
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

  // All 20: test/slow.
  test('6 steps of Adam follow the reference', () => followsReference(gpu, name, 6));
});

test('fixed text columns: the same losses and gradients of adapters', async () => {
  const name = 'paper';
  const text = await golden.read(`${name}.text`);
  const columns = Float32Array.from({ length: text.length }, (_, i) => {
    const [column, c] = [Math.floor(i / config.embed), i % config.embed];
    return text[2 * c + column]!;
  });
  const want = numbers.presets[name];
  const { losses, gradients, graph } = await tinyStep(name, 0, true, columns);
  expect(totalLoss(losses, 'det.') / want.det_loss - 1).toBeCloseTo(0, 4);
  expect(totalLoss(losses, 'seg.') / want.seg_loss - 1).toBeCloseTo(0, 4);
  expect(gradients.size).toBe(16);
  for (const [parameter, got] of gradients) {
    if (/3\.fc2/.test(parameter)) continue;
    expect(relativeError(got, await golden.read(`${name}.grad.${parameter}`)), parameter).toBeLessThan(1e-4);
  }
  // The text tower is no part of the step.
  expect([...graph.weights.keys()].filter((weight) => weight.startsWith('transformer.'))).toEqual([]);
});

test('recomputed blocks change no bit', async () => {
  const kept = await tinyStep('paper', 0);
  for (const recompute of [1, 99]) {
    const again = await tinyStep('paper', recompute);
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
  const { graph } = await tinyStep('paper', 0);
  const trained = new Set(parametersOf(config, 4, 8).map(({ shape }) => shape.join()));
  const written = graph.nodes.filter((node) => node.op.writes);
  // Sixteen gradients and the sums of both losses.
  expect(written.map(({ inputs }) => inputs[0]!.name.split('.')[0]).sort()).toEqual([
    ...Array(16).fill('grad'),
    'loss',
    'loss',
  ]);
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
  // Of the last text block, what nobody reads is not computed.
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
  const { losses, gradients } = await tinyStep('paper', 0, false);
  expect(Object.keys(losses).every((name) => name.startsWith('det.'))).toBe(true);
  for (const [name, gradient] of gradients) {
    const trained = !name.startsWith('seg') && !/3\.fc2/.test(name);
    expect(gradient.every(Number.isFinite), name).toBe(trained);
  }
});
