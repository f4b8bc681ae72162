/**
 * Hand-written backwards against central differences of the float64 references: for each op that has one, the gradient of a
 * random weighted sum of its outputs by every differentiable operand.
 */
import { describe, expect, test } from 'vitest';
import { uniformAt } from '../../src/kernels/suite';
import { suites } from '../../src/kernels/suites';
import { addAll, weightedSum } from '../../src/kernels/weighted-sum/weighted-sum';
import { BufferStore } from '../../src/runtime/buffer-store';
import { Executable, type InputData } from '../../src/runtime/executable';
import { gradients } from '../../src/runtime/gradients';
import { Graph } from '../../src/runtime/graph';
import { plan } from '../../src/runtime/plan';
import { sizeOf } from '../../src/runtime/tensor-type';
import { openTestGpu } from '../helpers/gpu';
import { type AnyCase, type AnySuite, callOf, operandsOf, usesF16 } from './run-case';

const gpu = await openTestGpu();

/** Elements of an operand whose derivative is also taken numerically: all of a small one, else a spread of this many. */
const PROBES = 24;
/** FLOPs of all reference evaluations of one case. */
const WORK = 3e8;

/** dL/d(operand) of L = sum_i weights_i . y_i, for each of `wanted`, by the graph's own backward. */
async function byBackward(
  suite: AnySuite,
  one: AnyCase,
  weights: readonly Float32Array<ArrayBuffer>[],
  wanted: readonly number[],
): Promise<Float32Array[]> {
  const g = new Graph();
  const inputs = one.inputs.map((type, i) => g.input(`x${i}`, type.dtype, type.shape));
  const results = g.apply(suite.op, inputs, one.attrs);
  const seeded = suite.seeded ?? results.keys();
  const seeds = [...seeded].map((i) => {
    const tensor = results[i]!;
    return { tensor, gradient: g.input(`seed${i}`, tensor.dtype, tensor.shape) };
  });
  const found = gradients(g, { seeds, wrt: wanted.map((i) => inputs[i]!), add: (terms) => addAll(g, terms) });
  // Times one: a gradient may be the seed itself, which no node computes.
  for (const i of wanted) g.output(`d${i}`, weightedSum(g, [found.get(inputs[i]!)!], [1]));
  const store = new BufferStore(gpu);
  const executable = await Executable.compile(gpu, plan(g, gpu.caps), store, { poison: true });
  const data: Record<string, InputData> = {};
  operandsOf(one).forEach((values, i) => {
    data[`x${i}`] = values;
  });
  for (const i of suite.seeded ?? weights.keys()) data[`seed${i}`] = weights[i]!;
  try {
    const out = await executable.run(data);
    return wanted.map((i) => out[`d${i}`] as Float32Array);
  } finally {
    executable.destroy();
  }
}

for (const suite of suites.filter((s) => s.op.backward)) {
  describe(suite.op.name, () => {
    const wanted = (one: AnyCase) =>
      (one.differentiable ?? suite.differentiable ?? []).filter((i) => i < one.inputs.length);
    const cases = suite.cases.filter((one) => {
      const call = callOf(suite, one);
      const evaluations = 2 * PROBES * wanted(one).length;
      if (evaluations === 0) return false;
      return !usesF16(call) && suite.op.flops(call) * evaluations < WORK && sizeOf(one.inputs[0]!) < 100_000;
    });

    test('has cases to take derivatives of', () => {
      expect(suite.differentiable?.length).toBeGreaterThan(0);
      expect(cases.length).toBeGreaterThan(0);
    });

    test.each(cases.map((one) => [one.name, one] as const))('%s', async (_name, one) => {
      const call = callOf(suite, one);
      const weights = call.outputs.map((type, k) =>
        Float32Array.from({ length: sizeOf(type) }, (_, i) =>
          suite.seeded?.includes(k) === false ? 0 : uniformAt(i, 100 + k),
        ),
      );
      const operands = operandsOf(one).map((values) => Float64Array.from(values));
      const loss = () =>
        suite
          .reference(operands, call)
          .reduce((sum, y, k) => sum + y.reduce((part, v, i) => part + v * weights[k]![i]!, 0), 0);
      const got = await byBackward(suite, one, weights, wanted(one));
      for (const [n, i] of wanted(one).entries()) {
        const operand = operands[i]!;
        expect(got[n]!.length).toBe(operand.length);
        const scale = got[n]!.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
        const probes = Math.min(PROBES, operand.length);
        for (let p = 0; p < probes; p++) {
          const at = Math.floor(((p + 0.5) * operand.length) / probes);
          const kept = operand[at]!;
          const h = 1e-5 * Math.max(1, Math.abs(kept));
          operand[at] = kept + h;
          const above = loss();
          operand[at] = kept - h;
          const below = loss();
          operand[at] = kept;
          const want = (above - below) / (2 * h);
          const error = Math.abs(got[n]![at]! - want);
          expect(error, `operand ${i}, element ${at}: got ${got[n]![at]}, want ${want}`).toBeLessThan(
            1e-4 * (scale + Math.abs(want)) + 1e-6,
          );
        }
      }
    });
  });
}
