/** The losses' gradients against central differences, and the losses against the float64 reference's numbers for the tiny model. */
import { readFile } from 'node:fs/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { bceLoss } from '../../src/kernels/bce-loss/bce-loss';
import { bceLossSuite } from '../../src/kernels/bce-loss/cases';
import { segmentationLossSuite } from '../../src/kernels/segmentation-loss/cases';
import { segmentationLoss } from '../../src/kernels/segmentation-loss/segmentation-loss';
import { anySuite } from '../../src/kernels/suite';
import { firstMismatch, TOLERANCE } from '../../src/kernels/tolerance';
import { AUTHORS, PAPER, type Preset } from '../../src/model/presets';
import { BufferStore } from '../../src/runtime/buffer-store';
import { Executable, type InputData, type OutputData } from '../../src/runtime/executable';
import { Graph } from '../../src/runtime/graph';
import { plan } from '../../src/runtime/plan';
import { fixture, openGolden } from '../helpers/goldens';
import { openTestGpu } from '../helpers/gpu';
import { type AnyCase, type AnySuite, callOf, operandsOf, runCase } from './run-case';

const gpu = await openTestGpu();

/** Elements of p whose derivative is also taken numerically. */
const PROBES = 24;

describe.each([anySuite(bceLossSuite), anySuite(segmentationLossSuite)].map((s) => [s.op.name, s] as const))(
  '%s',
  (_name, suite) => {
    // At the ends of [0, 1] the loss has a kink; the large cases add nothing.
    const cases = suite.cases.filter((one) => !one.bench && !/certain/.test(one.name));

    test.each(cases.map((one) => [one.name, one] as const))(
      '%s: gradient by differences',
      async (_n, one) => {
        const operands = operandsOf(one);
        const [scale] = operands[3]!;
        const { outputs } = await runCase(gpu, suite.op, one, suite.op.choose(callOf(suite, one), gpu.caps));
        const gradient = outputs[1]!;
        expect(gradient.every(Number.isFinite)).toBe(true);
        for (const at of probesOf(one)) {
          const want = scale! * slopeOf(suite, one, operands, at);
          expect(gradient[at], `element ${at}`).toSatisfy((v: number) => near(v, want));
        }
      },
    );
  },
);

function near(got: number, want: number): boolean {
  return Math.abs(got - want) <= 1e-4 * Math.abs(want) + 1e-4;
}

/** Elements of p, spread, whose image counts: elsewhere the loss is flat and p anything. */
function probesOf(one: AnyCase): number[] {
  const [p, , weights] = operandsOf(one) as [InputData, InputData, InputData];
  const each = p.length / weights.length;
  const probes = Math.min(PROBES, p.length);
  const spread = Array.from({ length: probes }, (_, k) => Math.floor(((k + 0.5) * p.length) / probes));
  return spread.filter((at) => weights[Math.floor(at / each)]! > 0);
}

/** d(sum of all losses)/dp[at], unscaled, of the float64 reference. */
function slopeOf(suite: AnySuite, one: AnyCase, operands: readonly InputData[], at: number): number {
  const doubles = operands.map((values) => Float64Array.from(values));
  const p = doubles[0]!;
  const middle = p[at]!;
  const h = 1e-6 * Math.max(1, Math.abs(middle));
  const lossAt = (value: number) => {
    p[at] = value;
    return suite.reference(doubles, callOf(suite, one))[0]!.reduce((sum, v) => sum + v, 0);
  };
  return (lossAt(middle + h) - lossAt(middle - h)) / (2 * h);
}

test.each([
  ['probability', [0, 0]],
  ['logits', [2 ** 100, 2 ** 100]],
] as const)('bce_loss, %s: an image of weight 0 gives exactly nothing', async (form, p) => {
  const one: AnyCase = {
    ...bceLossSuite.cases[0]!,
    inputs: [[2, 2], [2], [2], [1]].map((shape) => ({ dtype: 'f32', shape })),
    attrs: { form },
    fill: (index) => [[...p, ...p], [0, 1], [0, 0], [65536]][index],
  };
  const { outputs } = await runCase(gpu, anySuite(bceLossSuite).op, one, 'plain');
  expect([...outputs[0]!, ...outputs[1]!].map(Math.abs)).toEqual([0, 0, 0, 0, 0]);
});

describe('the tiny model', async () => {
  const golden = await openGolden('tiny/golden.safetensors');
  const stated = JSON.parse(await readFile(fixture('tiny/golden.json'), 'utf8')) as {
    presets: Record<string, { det_loss: number; seg_loss: number }>;
  };
  const [labels, masks] = [await golden.read('labels'), await golden.read('masks')];
  afterAll(() => golden.close());
  const [stages, batch, side] = golden.tensors.get('authors.maps')!.shape as [number, number, number];

  /** Losses of all stages by one graph, from the golden scores and maps. */
  async function lossesOf(name: string, preset: Preset): Promise<{ det: number; focalAndDice: number }> {
    const scores = await golden.read(`${name}.scores`);
    const maps = await golden.read(`${name}.maps`);
    const withNormal = (abnormal: Float32Array) =>
      Float32Array.from({ length: 2 * abnormal.length }, (_, i) =>
        i % 2 ? abnormal[i >> 1]! : 1 - abnormal[i >> 1]!,
      );
    const g = new Graph();
    const [t, m] = [g.input('t', 'f32', [batch]), g.input('m', 'f32', [batch, side, side])];
    const [weights, scale] = [g.input('weights', 'f32', [batch]), g.input('scale', 'f32', [1])];
    const data: Record<string, InputData> = {
      t: labels,
      m: masks,
      weights: new Float32Array(batch).fill(1 / batch),
      scale: Float32Array.of(1),
    };
    for (let s = 0; s < stages; s++) {
      const score = g.input(`score${s}`, 'f32', [batch, 2]);
      const map = g.input(`map${s}`, 'f32', [batch, side, side, 2]);
      const plane = batch * side * side;
      data[`score${s}`] = withNormal(scores.subarray(s * batch, (s + 1) * batch));
      data[`map${s}`] = withNormal(maps.subarray(s * plane, (s + 1) * plane));
      g.output(`det${s}`, bceLoss(g, score, t, weights, scale, preset.detectionLoss).loss);
      g.output(
        `seg${s}`,
        segmentationLoss(g, map, m, weights, scale, { normalDice: preset.normalDice }).loss,
      );
    }
    const executable = await Executable.compile(gpu, plan(g, gpu.caps), new BufferStore(gpu), {
      poison: true,
    });
    const results = await executable.run(data);
    executable.destroy();
    const sum = (kind: string) =>
      Object.entries(results)
        .filter(([key]) => key.startsWith(kind))
        .flatMap(([, values]: [string, OutputData]) => [...values])
        .reduce((total, v) => total + v, 0);
    return { det: sum('det'), focalAndDice: sum('seg') };
  }

  test.each([
    ['authors', AUTHORS],
    ['paper', PAPER],
  ] as const)('preset %s: losses of the golden scores and maps', async (name, preset) => {
    const { det, focalAndDice } = await lossesOf(name, preset);
    const { det_loss, seg_loss } = stated.presets[name]!;
    expect(firstMismatch([det, focalAndDice], [det_loss, seg_loss], TOLERANCE.f32)).toBeUndefined();
  });
});
