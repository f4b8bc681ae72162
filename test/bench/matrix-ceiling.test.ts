/** The ceiling of matrix units: no adapter here has them, so its text is compiled and its bookkeeping tested. */
import { expect, test } from 'vitest';
import { matrixOp, matrixSuite } from '../../bench/ceiling/matrix';
import { type Ceilings, shareOf } from '../../bench/record';
import { MATRIX_FEATURE, PORTABLE } from '../../src/runtime/capabilities';
import { isCannot } from '../../src/runtime/op';
import { reflect } from '../../src/runtime/reflect';
import { specialise } from '../../src/runtime/specialise';
import { complaints, openNullDevice } from '../helpers/null-device';

const CAPS = {
  ...PORTABLE,
  f16: true,
  subgroups: true,
  // The null backend's largest, of which workgroups must be multiples.
  subgroupMinSize: 128,
  subgroupMaxSize: 128,
  matrixConfigs: [
    { component: 'f16', result: 'f32', M: 16, N: 16, K: 16 },
    { component: 'f16', result: 'f32', M: 16, N: 8, K: 16 },
    { component: 'f32', result: 'f32', M: 8, N: 8, K: 8 },
    { component: 'f16', result: 'f16', M: 16, N: 16, K: 16 },
    { component: 'i8', result: 'i32', M: 16, N: 16, K: 32 },
  ],
};

test('Dawn compiles it for every configuration that sums in f32, and no other is tried', async () => {
  const { cases } = matrixSuite(CAPS);
  expect(new Set(cases.map(({ name }) => name.split(',')[0]))).toEqual(
    new Set(['f16 16x16x16', 'f16 16x8x16', 'f32 8x8x8']),
  );
  expect(matrixSuite({ ...CAPS, subgroupMaxSize: 64 }).cases).toEqual([]);
  const device = await openNullDevice([MATRIX_FEATURE, 'shader-f16', 'subgroups' as GPUFeatureName]);
  for (const { inputs, attrs, name } of cases) {
    const call = { inputs, outputs: matrixOp.infer(inputs, attrs), attrs };
    const lowering = matrixOp.variants[0]!.lower(call, CAPS);
    if (isCannot(lowering)) throw new Error(lowering.cannot);
    const { kernel, ...given } = lowering.dispatches[0]!;
    const wgsl = specialise(kernel.name, kernel.wgsl, given);
    expect(await complaints(device, wgsl, reflect(name, wgsl).entryPoint), name).toEqual([]);
  }
  expect(await complaints(device, 'fn main( {')).not.toEqual([]);
  device.destroy();
});

test('sums count steps and terms', () => {
  const { cases, reference } = matrixSuite(CAPS);
  const one = cases.find(({ name }) => name === 'f16 16x16x16, 4 sums')!;
  const attrs = { ...one.attrs, steps: 8, workgroups: 1 };
  const call = { inputs: one.inputs, outputs: matrixOp.infer(one.inputs, attrs), attrs };
  // Sums that start at 0, 1, 2 and 3, each with 8 steps of 16 terms of 1 * 1.
  expect([...reference([Float64Array.of(1, 1)], call)[0]!]).toEqual(Array(128).fill(4 * 8 * 16 + 6));
  expect(matrixOp.flops(call)).toBe(2 * 16 * 16 * 16 * 4 * 8);
});

test('f16 is judged by matrix units, f32 is not', () => {
  const ceilings: Ceilings = {
    f32Gflops: 50,
    f16Gflops: 100,
    matrixGflops: 800,
    copyGbps: 1e6,
    emptyRunMs: 0,
  };
  const floor = { flops: 8e8, bytes: 4 };
  expect(shareOf(floor, 'f16', 2, ceilings)).toBeCloseTo(0.5, 10);
  expect(shareOf(floor, 'f32', 32, ceilings)).toBeCloseTo(0.5, 10);
});
