/** Which variant of attention and of its gradient each kind of device gets for the shapes of CLIP's towers. */
import { expect, test } from 'vitest';
import { attentionOp } from '../../src/kernels/attention/attention';
import { attentionBackwardOp } from '../../src/kernels/attention/attention-backward';
import { type Capabilities, PORTABLE } from '../../src/runtime/capabilities';
import { type Dtype, tensorType } from '../../src/runtime/tensor-type';

const lanes = (size: number) => ({ subgroups: true, subgroupMinSize: size, subgroupMaxSize: size });
const TENSOR_CORES = { component: 'f16', result: 'f32', M: 16, N: 16, K: 16 };
const DEVICES = {
  swiftshader: { ...PORTABLE, software: true, ...lanes(4) },
  lavapipe: {
    ...PORTABLE,
    software: true,
    f16: true,
    ...lanes(8),
    maxInvocations: 1024,
    maxWorkgroupStorage: 32768,
  },
  'CPU without subgroups': { ...PORTABLE, software: true },
  'portable GPU': PORTABLE,
  'large GPU': { ...PORTABLE, f16: true, ...lanes(32), maxInvocations: 1024, maxWorkgroupStorage: 49152 },
  'matrix GPU': {
    ...PORTABLE,
    f16: true,
    ...lanes(32),
    maxInvocations: 1024,
    maxWorkgroupStorage: 49152,
    matrixConfigs: [TENSOR_CORES],
  },
  'small matrix GPU': {
    ...PORTABLE,
    f16: true,
    ...lanes(32),
    matrixConfigs: [{ ...TENSOR_CORES, M: 8, N: 8, K: 8 }],
  },
  // Mesa 26 has subgroup matrices in software.
  lavapipe26: {
    ...PORTABLE,
    software: true,
    f16: true,
    ...lanes(8),
    matrixConfigs: [{ ...TENSOR_CORES, M: 8, N: 8, K: 8 }],
  },
} satisfies Record<string, Capabilities>;

const qkvOf = (dtype: Dtype, batch: number, tokens: number, heads: number, size: number) =>
  tensorType(dtype, [batch, tokens, 3 * heads * size]);

/** [device, batch, tokens, heads, head size, forward, backward] */
const table: [keyof typeof DEVICES, number, number, number, number, string, string][] = [
  ['swiftshader', 1, 290, 16, 64, 'quads', 'quads'],
  ['swiftshader', 2, 77, 12, 64, 'quads', 'quads'],
  ['swiftshader', 1, 257, 16, 80, 'quads', 'quads'],
  ['swiftshader', 1, 17, 2, 16, 'quads', 'registers'], // too little work for the longer compilation
  ['swiftshader', 1, 290, 8, 128, 'quads', 'registers'],
  ['swiftshader', 1, 290, 8, 12, 'registers', 'registers'],
  ['swiftshader', 1, 290, 8, 5, 'plain', 'plain'],
  ['lavapipe', 1, 290, 16, 64, 'quads', 'quads'],
  ['lavapipe', 1, 257, 16, 80, 'quads', 'quads'],
  ['CPU without subgroups', 1, 290, 16, 64, 'registers', 'registers'],
  ['portable GPU', 1, 290, 16, 64, 'blocked_32x16', 'tiled'],
  ['portable GPU', 1, 257, 16, 80, 'tiled', 'tiled'],
  ['portable GPU', 1, 290, 8, 12, 'blocked_32x32', 'registers'],
  ['portable GPU', 1, 290, 1, 160, 'plain', 'plain'],
  ['large GPU', 1, 290, 16, 64, 'blocked_32x32', 'tiled'],
  ['large GPU', 16, 257, 16, 80, 'blocked_32x32', 'tiled'],
];

test.each(table)('%s, B=%i T=%i heads=%ix%i: %s, %s', (device, batch, tokens, heads, size, ahead, back) => {
  const inputs = [qkvOf('f32', batch, tokens, heads, size)];
  const caps = DEVICES[device];
  const attrs = { heads, causal: false, saveLse: true };
  expect(attentionOp.choose({ inputs, outputs: [], attrs }, caps)).toBe(ahead);
  expect(attentionBackwardOp.choose({ inputs, outputs: [], attrs }, caps)).toBe(back);
});

test('a variant that computed wrongly on a device is passed over there', () => {
  const call = (dtype: Dtype) => ({
    inputs: [qkvOf(dtype, 1, 290, 16, 64)],
    outputs: [],
    attrs: { heads: 16, causal: false, saveLse: true },
  });
  const without = (...refused: string[]) => ({ ...DEVICES['matrix GPU'], refused });
  expect(attentionOp.choose(call('f16'), without('attention matrix_32x64'))).toBe('matrix_16x32');
  const all = attentionOp.variants.map(({ name }) => `attention ${name}`);
  expect(attentionOp.choose(call('f16'), without(...all))).toBe('blocked_32x32');
  // The gradient's are its own.
  expect(attentionBackwardOp.choose(call('f16'), without(...all))).toBe('matrix_32x32');
  expect(attentionBackwardOp.choose(call('f16'), without('attention_backward matrix_32x32'))).toBe(
    'matrix_16x16',
  );
});

// Only where both the device and the operands are made for them.
test.each([
  ['matrix GPU', 'f16', 1, 290, 16, 64, 'matrix_32x64', 'matrix_32x32'],
  ['matrix GPU', 'f16', 16, 577, 16, 64, 'matrix_32x64', 'matrix_32x32'],
  ['matrix GPU', 'f16', 1, 257, 16, 80, 'matrix_32x64', 'matrix_32x32'],
  ['matrix GPU', 'f32', 1, 290, 16, 64, 'blocked_32x32', 'tiled'],
  ['matrix GPU', 'f16', 1, 290, 8, 12, 'blocked_32x32', 'registers'],
  ['matrix GPU', 'f16', 8, 9, 8, 64, 'blocked_32x32', 'tiled'],
  ['small matrix GPU', 'f16', 1, 290, 16, 64, 'matrix_16x32', 'matrix_16x16'],
  ['large GPU', 'f16', 1, 290, 16, 64, 'blocked_32x32', 'tiled'],
  ['lavapipe26', 'f16', 1, 290, 16, 64, 'quads', 'quads'],
] as const)(
  '%s, %s B=%i T=%i heads=%ix%i: %s, %s',
  (device, dtype, batch, tokens, heads, size, ahead, back) => {
    const inputs = [qkvOf(dtype, batch, tokens, heads, size)];
    const attrs = { heads, causal: false, saveLse: false };
    expect(attentionOp.choose({ inputs, outputs: [], attrs }, DEVICES[device])).toBe(ahead);
    expect(attentionBackwardOp.choose({ inputs, outputs: [], attrs }, DEVICES[device])).toBe(back);
  },
);
