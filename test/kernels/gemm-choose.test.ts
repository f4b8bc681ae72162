/** GEMM's choice of a variant as a table: kind of device x shape. Pure: no device is opened. */
import { expect, test } from 'vitest';
import { gemmSuite } from '../../src/kernels/gemm/cases';
import { type GemmAttrs, gemmOp } from '../../src/kernels/gemm/gemm';
import { type Capabilities, PORTABLE } from '../../src/runtime/capabilities';
import { isCannot, type OpCall } from '../../src/runtime/op';
import { type Dtype, tensorType } from '../../src/runtime/tensor-type';

const lanes = (n: number) => ({ subgroups: true, subgroupMinSize: n, subgroupMaxSize: n });
const TENSOR_CORES = { component: 'f16', result: 'f32', M: 16, N: 16, K: 16 };

const DEVICES: Record<string, Capabilities> = {
  portable: PORTABLE,
  gpu: { ...PORTABLE, ...lanes(32), f16: true, maxWorkgroupStorage: 32768 },
  matrix: {
    ...PORTABLE,
    ...lanes(32),
    f16: true,
    maxWorkgroupStorage: 49152,
    matrixConfigs: [TENSOR_CORES, { ...TENSOR_CORES, result: 'f16' }],
  },
  lavapipe: { ...PORTABLE, ...lanes(8), software: true, f16: true, maxWorkgroupStorage: 32768 },
  // Mesa 26 has subgroup matrices in software.
  lavapipe26: {
    ...PORTABLE,
    ...lanes(8),
    software: true,
    f16: true,
    matrixConfigs: [{ ...TENSOR_CORES, M: 8, N: 8, K: 8 }],
  },
  swiftshader: { ...PORTABLE, ...lanes(4), software: true },
  bare: { ...PORTABLE, software: true },
};

type Layouts = Pick<GemmAttrs, 'x' | 'weight'>;

function callOf(dtype: Dtype, [m, k, n]: readonly number[], { x, weight }: Layouts): OpCall<GemmAttrs> {
  const attrs: GemmAttrs = { bias: false, residual: false, weight, ...(x && { x }) };
  const inputs = [
    tensorType(dtype, x === 'km' ? [k!, m!] : [m!, k!]),
    tensorType(dtype, weight === 'nk' ? [n!, k!] : [k!, n!]),
  ];
  return { inputs, outputs: gemmOp.infer(inputs, attrs), attrs };
}

const NK: Layouts = { weight: 'nk' };
const KN: Layouts = { weight: 'kn' };
const KM: Layouts = { x: 'km', weight: 'kn' };

// Shapes are M x K x N.
test.each([
  // ViT-L/14, one image of 240 px: QKV, attention output, MLP in and out, adapter
  ['gpu', 'f32', [290, 1024, 3072], NK, 'split_2'],
  ['gpu', 'f32', [290, 1024, 1024], NK, 'split_4'],
  ['gpu', 'f32', [290, 1024, 4096], NK, 'tiled'],
  ['gpu', 'f32', [290, 4096, 1024], NK, 'split_4'],
  ['gpu', 'f32', [290, 1024, 768], NK, 'split_4'],
  ['gpu', 'f32', [77, 768, 768], NK, 'split_2'],
  // A batch of 16
  ['gpu', 'f32', [4640, 1024, 4096], NK, 'tiled_128x64'],
  ['gpu', 'f32', [4640, 1024, 1024], NK, 'tiled_128x64'],
  ['portable', 'f32', [4640, 1024, 1024], NK, 'tiled_128x64'],
  // Gradients by x and by the weight
  ['gpu', 'f32', [290, 4096, 1024], KN, 'split_4'],
  ['gpu', 'f32', [768, 290, 1024], KM, 'tiled'],
  ['gpu', 'f32', [768, 4640, 1024], KM, 'split_2'],
  ['gpu', 'f32', [290, 64, 64], { x: 'km', weight: 'nk' }, 'plain'],
  ['gpu', 'f32', [292, 64, 64], { x: 'km', weight: 'nk' }, 'tiled'],
  // f16 without and with matrix units, which never see f32
  ['gpu', 'f16', [4640, 1024, 4096], NK, 'tiled_128x64'],
  ['matrix', 'f32', [4640, 1024, 4096], NK, 'tiled_128x64'],
  ['matrix', 'f16', [4640, 1024, 4096], NK, 'matrix_128x64'],
  ['matrix', 'f16', [290, 1024, 4096], NK, 'matrix'],
  ['matrix', 'f16', [290, 1024, 1024], NK, 'matrix_split_4'],
  ['matrix', 'f16', [768, 4640, 1024], KM, 'matrix_split_2'],
  ['matrix', 'f16', [290, 4096, 1024], KN, 'matrix_split_4'],
  ['matrix', 'f16', [290, 1023, 1024], NK, 'plain'],
  // Few rows or columns, odd sizes
  ['gpu', 'f32', [8, 1024, 1024], NK, 'registers'],
  ['matrix', 'f16', [8, 1024, 1024], NK, 'registers'],
  ['gpu', 'f32', [1024, 1024, 2], NK, 'registers'],
  ['gpu', 'f32', [290, 1023, 1024], NK, 'plain'],
  ['gpu', 'f32', [8, 64, 64], { x: 'km', weight: 'nk' }, 'plain'],
  // Adapters that compute on a CPU
  ['lavapipe', 'f32', [290, 1024, 4096], NK, 'broadcast'],
  ['lavapipe', 'f16', [290, 1024, 4096], NK, 'broadcast'],
  ['lavapipe26', 'f16', [290, 1024, 4096], NK, 'broadcast'],
  ['lavapipe', 'f32', [77, 64, 192], NK, 'registers'],
  ['swiftshader', 'f32', [290, 1024, 4096], NK, 'panel'],
  ['swiftshader', 'f32', [768, 290, 1024], KM, 'panel'],
  ['swiftshader', 'f32', [290, 1023, 1024], NK, 'panel'],
  ['swiftshader', 'f32', [77, 64, 192], NK, 'registers'],
  ['bare', 'f32', [290, 1024, 4096], NK, 'registers'],
] as const)('%s, %s %j %j: %s', (device, dtype, shape, layouts, want) => {
  expect(gemmOp.choose(callOf(dtype, shape, layouts), DEVICES[device]!)).toBe(want);
});

test('what is chosen can run, on every device and case', () => {
  for (const [device, caps] of Object.entries(DEVICES))
    for (const one of gemmSuite.cases) {
      const call = { inputs: one.inputs, outputs: gemmOp.infer(one.inputs, one.attrs), attrs: one.attrs };
      const name = gemmOp.choose(call, caps);
      const lowering = gemmOp.variants.find((variant) => variant.name === name)!.lower(call, caps);
      expect(isCannot(lowering), `${device}, ${one.name}: ${name}`).toBe(false);
    }
});

test('every variant takes some case on some device, within its limits', () => {
  const devices = Object.values(DEVICES);
  for (const { name, lower } of gemmOp.variants) {
    const uses = gemmSuite.cases.flatMap((one) => {
      const call = { inputs: one.inputs, outputs: gemmOp.infer(one.inputs, one.attrs), attrs: one.attrs };
      return devices.map((caps) => lower(call, caps)).filter((lowering) => !isCannot(lowering));
    });
    expect(uses.length, name).toBeGreaterThan(0);
  }
});

test('partial sums that no binding can hold are not split off', () => {
  const call = callOf('f32', [2048, 4096, 2048], NK);
  const split = gemmOp.variants.find(({ name }) => name === 'split_8')!;
  expect(split.lower(call, PORTABLE)).toMatchObject({ variant: 'split_8' });
  expect(split.lower(call, { ...PORTABLE, maxBindingBytes: 2 ** 27 - 1 })).toMatchObject({
    cannot: '8 partial sums of y need 134217728 bytes',
  });
});
