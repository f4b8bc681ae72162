/** Attention on matrix units, which no adapter here has: its text compiles in Dawn, and a small case on emulated units. The rest: test/slow. */
import { expect, test } from 'vitest';
import type { AttentionAttrs } from '../../src/kernels/attention/attention';
import { attentionBackwardProbe, attentionProbe, matrixFault } from '../../src/kernels/matrix-check';
import {
  type Capabilities,
  MATRIX_FEATURE,
  type MatrixConfig,
  PORTABLE,
} from '../../src/runtime/capabilities';
import { isCannot, type OpCall, type Variant } from '../../src/runtime/op';
import { reflect } from '../../src/runtime/reflect';
import { specialise } from '../../src/runtime/specialise';
import { tensorType } from '../../src/runtime/tensor-type';
import { openTestGpu } from '../helpers/gpu';
import { complaints, openNullDevice } from '../helpers/null-device';
import {
  attention,
  attentionBackward,
  emulatedMismatch,
  emulationObstacle,
  UNEVEN,
  withConfig,
} from './emulated-matrix';
import { type AnySuite, callOf, usesF16 } from './run-case';

const gpu = await openTestGpu();

const LARGE = {
  ...PORTABLE,
  ...{ f16: true, subgroups: true, subgroupMinSize: 32, subgroupMaxSize: 32 },
  maxWorkgroupStorage: 49152,
};
const ofF16 = ([M, N, K]: readonly [number, number, number]): MatrixConfig => ({
  component: 'f16',
  result: 'f32',
  ...{ M, N, K },
});
/** NVIDIA's through Vulkan, of which most matters, then its smaller ones; Apple's and Mesa's; Intel's. */
const SHAPES = [
  [16, 16, 16],
  [16, 8, 16],
  [16, 8, 8],
  [8, 8, 8],
  [8, 16, 16],
] as const;

const suites = [attention, attentionBackward];
const variantsOf = ({ op }: AnySuite) => op.variants.filter(({ name }) => name.startsWith('matrix'));
const lowered = (suite: AnySuite, variant: string, call: OpCall<unknown>, caps: Capabilities) =>
  suite.op.variants.find(({ name }) => name === variant)!.lower(call, caps);

test('Dawn compiles it, for every tile and configuration', async () => {
  const device = await openNullDevice([MATRIX_FEATURE, 'shader-f16', 'subgroups' as GPUFeatureName]);
  const texts = new Map<string, { label: string; fits: boolean }>();
  for (const suite of suites)
    for (const shape of SHAPES)
      for (const { name } of variantsOf(suite))
        for (const one of suite.cases.filter((c) => usesF16(callOf(suite, c)))) {
          // The null backend wants workgroups of a multiple of 128, and has 16 KiB of workgroup memory.
          const small = name === 'matrix_16x32' || name === 'matrix_16x16';
          const lanes = small ? 64 : 32;
          const caps = { ...LARGE, subgroupMinSize: lanes, subgroupMaxSize: lanes };
          const lowering = lowered(suite, name, callOf(suite, one), withConfig(caps, ofF16(shape)));
          if (isCannot(lowering)) continue;
          for (const { kernel, ...given } of lowering.dispatches) {
            const includes = kernel.includes ?? {};
            const wgsl = specialise(kernel.name, kernel.wgsl, { ...given, includes });
            const fits = small && Number(given.constants?.THREADS) === 128 && !one.name.includes('x80');
            texts.set(wgsl, { label: `${one.name}: ${kernel.name} ${name}, ${shape.join('x')}`, fits });
          }
        }
  const labels = [...texts.values()].map(({ label }) => label);
  for (const what of [...SHAPES.map((shape) => shape.join('x')), 'x80', 'lse', 'queries', 'keys'])
    expect(
      labels.some((label) => label.includes(what)),
      what,
    ).toBe(true);
  for (const suite of suites)
    for (const { name } of variantsOf(suite))
      expect(
        labels.some((label) => label.includes(`: ${suite.op.name}_matrix`) && label.includes(` ${name},`)),
        name,
      ).toBe(true);
  expect([...texts.values()].filter(({ fits }) => fits).length).toBeGreaterThan(4);
  for (const [code, { label, fits }] of texts)
    expect(await complaints(device, code, fits ? reflect(label, code).entryPoint : undefined), label).toEqual(
      [],
    );
  // The same check finds what is wrong.
  const wrong = [...texts.keys()][0]!.replace('<Result, row_major>(&stage', '<Result, row_major>(&weights');
  expect(await complaints(device, wrong)).not.toEqual([]);
  device.destroy();
});

test('a tile is divided so that nothing is left over, or not at all', () => {
  const divided = (size: number, name: string, shape: readonly [number, number, number], lanes = 32) => {
    const inputs = [tensorType('f16', [1, 290, 3 * 2 * size])];
    const attrs = { heads: 2, causal: false, saveLse: false };
    const call = { inputs, outputs: attention.op.infer(inputs, attrs), attrs };
    const caps = { ...LARGE, subgroupMinSize: lanes };
    const lowering = lowered(attention, name, call, withConfig(caps, ofF16(shape)));
    if (isCannot(lowering)) return lowering.cannot;
    const { GX, GY, RM, RS, RO, STEPS } = lowering.dispatches[0]!.constants as Record<string, number>;
    return [GX, GY, RM, RS, RO, STEPS];
  };
  expect(divided(64, 'matrix_32x64', [16, 16, 16])).toEqual([4, 1, 2, 1, 1, 4]);
  expect(divided(64, 'matrix_64x64', [16, 16, 16])).toEqual([2, 2, 2, 2, 2, 4]);
  expect(divided(64, 'matrix_16x32', [16, 16, 16])).toEqual([2, 1, 1, 1, 2, 4]);
  expect(divided(64, 'matrix_32x64', [8, 8, 8])).toEqual([4, 1, 4, 2, 2, 8]);
  expect(divided(32, 'matrix_32x64', [16, 16, 16])).toEqual([2, 2, 1, 2, 1, 2]);
  expect(divided(80, 'matrix_32x64', [16, 16, 16])).toEqual([1, 2, 1, 4, 5, 5]);
  expect(divided(80, 'matrix_16x32', [16, 8, 16])).toEqual([2, 1, 1, 2, 5, 5]);
  expect(divided(12, 'matrix_16x32', [8, 8, 8])).toMatch('no matrix units');
  expect(divided(24, 'matrix_16x32', [16, 16, 16])).toMatch('no matrix units');
  expect(divided(160, 'matrix_16x32', [16, 16, 16])).toBe('head size 160 is above 128');
  expect(divided(64, 'matrix_16x32', [16, 16, 16], 8)).toBe('subgroups have no fixed size');
});

test.each([
  ['attention', attention, 'matrix_16x32'],
  ['its gradient', attentionBackward, 'matrix_16x16'],
] as const)('%s: operands keep their bits, f32 never becomes f16', (_name, suite, variant) => {
  const typeWith = (dtype: string, component: string, result = 'f32') => {
    const one = suite.cases.find(({ name }) => name.startsWith(`${dtype} B=2 T=50`))!;
    const caps = withConfig(LARGE, { component, result, M: 8, N: 8, K: 8 });
    const lowering = lowered(suite, variant, callOf(suite, one), caps);
    return isCannot(lowering) ? undefined : lowering.dispatches[0]!.types?.F;
  };
  expect(typeWith('f16', 'f16')).toBe('f16');
  expect(typeWith('f16', 'f32')).toBe('f32');
  expect(typeWith('f16', 'f16', 'f16')).toBeUndefined();
  expect(typeWith('f32', 'f16')).toBeUndefined();
  expect(typeWith('f32', 'f32')).toBe('f32');
});

test('what a device is asked shows a wrong kernel', async () => {
  expect(await matrixFault(gpu, attentionProbe, 'plain', 'f32')).toBeUndefined();
  expect(await matrixFault(gpu, attentionBackwardProbe, 'plain', 'f32')).toBeUndefined();
  expect(await matrixFault(gpu, attentionProbe, 'matrix_16x32', 'f32')).toBeUndefined(); // no such units
  const [plain] = attentionProbe.op.variants as [Variant<AttentionAttrs>];
  const lower: typeof plain.lower = (call, caps) => {
    const lowering = plain.lower(call, caps);
    if (isCannot(lowering)) return lowering;
    const dispatches = lowering.dispatches.map((one) => {
      const wgsl = one.kernel.wgsl.replace('sum[c] * shrink', 'sum[c]');
      expect(wgsl).not.toBe(one.kernel.wgsl);
      return { ...one, kernel: { ...one.kernel, wgsl } };
    });
    return { ...lowering, dispatches };
  };
  const op = { ...attentionProbe.op, variants: [{ ...plain, lower }] };
  expect(await matrixFault(gpu, { ...attentionProbe, op }, 'plain', 'f32')).toMatch(
    / of a result of attention was /,
  );
});

test('right on emulated units, where peaks grow', async (context) => {
  const name = 'f32 B=1 T=77 heads=2x16 lse rising';
  const obstacle = emulationObstacle(gpu, name);
  context.skip(obstacle !== undefined, obstacle);
  expect(await emulatedMismatch(gpu, attention, name, 'matrix_16x32', UNEVEN)).toBeUndefined();
});
