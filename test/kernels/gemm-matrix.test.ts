/** GEMM on matrix units, which no adapter here has: its text compiles in Dawn. Its arithmetic, on emulated ones: test/slow. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { gemmOp } from '../../src/kernels/gemm/gemm';
import type { GemmAttrs } from '../../src/kernels/gemm/lowering';
import { checkMatrixUnits, gemmProbe, matrixFault } from '../../src/kernels/matrix-check';
import { acquireAdapter } from '../../src/platform/node/adapter';
import { MATRIX_FEATURE, PORTABLE } from '../../src/runtime/capabilities';
import { Gpu } from '../../src/runtime/device';
import { isCannot, type Lowering, type Variant } from '../../src/runtime/op';
import { reflect } from '../../src/runtime/reflect';
import { specialise } from '../../src/runtime/specialise';
import { openTestGpu } from '../helpers/gpu';
import { complaints, openNullDevice } from '../helpers/null-device';
import { gemm as suite, withConfig } from './emulated-matrix';
import { type AnyCase, callOf, usesF16 } from './run-case';

const gpu = await openTestGpu();

/** What an NVIDIA GPU offers through Vulkan, of which most matters here. */
const TENSOR_CORES = { component: 'f16', result: 'f32', M: 16, N: 16, K: 16 };
const subgroups = { f16: true, subgroups: true, subgroupMinSize: 32, subgroupMaxSize: 32 };
const LARGE = withConfig({ ...PORTABLE, ...subgroups, maxWorkgroupStorage: 32768 }, TENSOR_CORES);

const named = suite.op.variants.filter(({ name }) => name.startsWith('matrix'));
const lowered = (name: string, one: AnyCase, caps = LARGE): Lowering | undefined => {
  const lowering = named.find((variant) => variant.name === name)!.lower(callOf(suite, one), caps);
  return isCannot(lowering) ? undefined : lowering;
};

test('Dawn compiles it, for every layout, tile and split', async () => {
  const device = await openNullDevice([MATRIX_FEATURE, 'shader-f16', 'subgroups' as GPUFeatureName]);
  const texts = new Map<string, string>();
  for (const one of suite.cases.filter((c) => usesF16(callOf(suite, c))))
    for (const { name } of named)
      for (const { kernel, ...given } of lowered(name, one)?.dispatches ?? []) {
        const wgsl = specialise(kernel.name, kernel.wgsl, { ...given, includes: kernel.includes ?? {} });
        texts.set(wgsl, `${one.name}: ${name}`);
      }
  const kinds = ['row_major>(&a', 'col_major>(&a', 'row_major>(&b', 'col_major>(&b', 'partial'];
  for (const kind of kinds) expect([...texts.keys()].some((text) => text.includes(kind))).toBe(true);
  for (const [code, label] of texts) {
    // Larger tiles need more workgroup memory than there is.
    const { entryPoint } = reflect(label, code);
    expect(await complaints(device, code, label.includes('128') ? undefined : entryPoint), label).toEqual([]);
  }
  // The same check finds what is wrong.
  const [code] = [...texts.keys()].filter((text) => text.includes('&a_tile'));
  const wrong = code!.replace('<Left, row_major>(&a_tile', '<Right, row_major>(&a_tile');
  expect(await complaints(device, wrong)).toEqual([expect.stringMatching(/return/), expect.any(String)]);
  device.destroy();
});

test('types keep their bits: f16 in f16 or f32, f32 in f32 only, sums in f32', () => {
  const f16 = suite.cases.find(({ name }) => name === 'f16 66x36x65 to f32')!;
  const mixed = suite.cases.find(({ name }) => name === 'f32 33x64x40 w f16')!;
  const typeWith = (one: AnyCase, component: string, result: string) => {
    const caps = withConfig(LARGE, { ...TENSOR_CORES, component, result });
    return lowered('matrix', one, caps)?.dispatches[0]?.types?.T;
  };
  expect(typeWith(f16, 'f16', 'f32')).toBe('f16');
  expect(typeWith(f16, 'f32', 'f32')).toBe('f32');
  expect(typeWith(f16, 'f16', 'f16')).toBeUndefined();
  expect(typeWith(mixed, 'f16', 'f32')).toBeUndefined();
  expect(typeWith(mixed, 'f32', 'f32')).toBe('f32');
});

describe('asked before a model relies on them', () => {
  afterEach(() => void vi.restoreAllMocks());

  test('right products pass, wrong ones are found', async (context) => {
    context.skip(!gpu.caps.f16, `${gpu.name} has no shader-f16`);
    for (const dtype of ['f16', 'f32'] as const)
      expect(await matrixFault(gpu, gemmProbe, 'plain', dtype)).toBeUndefined();
    expect(await matrixFault(gpu, gemmProbe, 'matrix', 'f16')).toBeUndefined(); // no such units
    const variants = gemmOp.variants.map(
      ({ name, lower }): Variant<GemmAttrs> => ({
        name,
        lower(call, caps) {
          const lowering = lower(call, caps);
          if (isCannot(lowering)) return lowering;
          const dispatches = lowering.dispatches.map((one) => {
            const wgsl = one.kernel.wgsl.replace('sum += ', 'sum -= ');
            return { ...one, kernel: { ...one.kernel, wgsl } };
          });
          return { ...lowering, dispatches };
        },
      }),
    );
    expect(await matrixFault(gpu, { ...gemmProbe, op: { ...gemmOp, variants } }, 'plain', 'f16')).toMatch(
      /^element 0 of a result of gemm was/,
    );
  });

  test('a device on which they fail goes on without them', async () => {
    const own = await Gpu.open(await acquireAdapter());
    const caps = withConfig({ ...own.caps, ...subgroups, maxWorkgroupStorage: 32768 }, TENSOR_CORES);
    const pretended = vi.spyOn(own, 'caps', 'get').mockReturnValue(caps);
    await checkMatrixUnits(own);
    expect(own.notes.join()).toMatch(/matrix units of .* are not used: .*gemm_matrix/);
    pretended.mockRestore();
    expect(own.caps.matrixConfigs).toEqual([]);
    expect(await matrixFault(own, gemmProbe, 'plain', 'f32')).toBeUndefined();
    own.destroy();
  });
});
