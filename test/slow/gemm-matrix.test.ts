/** GEMM on emulated matrix units: tiles, types and epilogues; and faults are caught. */
import { expect, test } from 'vitest';
import { openTestGpu } from '../helpers/gpu';
import { emulatedMismatch, gemm, UNEVEN } from '../kernels/emulated-matrix';

const gpu = await openTestGpu();
const SQUARE = { component: 'f16', result: 'f32', M: 16, N: 16, K: 16 };

test.for([
  ['f32 77x36x68 gelu residual kn', 'matrix', UNEVEN],
  ['f32 68x77x132 km kn', 'matrix', UNEVEN],
  ['f32 77x64x192 bias quick_gelu', 'matrix', UNEVEN],
  ['f32 20x36x33 km', 'matrix', UNEVEN],
  ['f32 129x20x66 gelu', 'matrix', UNEVEN],
  ['f32 65x588x33 bias', 'matrix_split_8', UNEVEN],
  ['f16 66x36x65 to f32', 'matrix', SQUARE],
  ['f16 36x77x100 km kn residual to f32', 'matrix', SQUARE],
  ['f32 33x64x40 w f16', 'matrix', UNEVEN],
  ['f32 77x68x72 leaky_relu halves', 'matrix', UNEVEN],
  ['f32 67x588x66 halves', 'matrix_split_8', UNEVEN],
] as const)('%s: %s', async ([name, variant, config], context) => {
  const f16 = name.includes('f16');
  context.skip(!gpu.caps.subgroups || (f16 && !gpu.caps.f16), `${gpu.name} cannot run it`);
  expect(await emulatedMismatch(gpu, gemm, name, variant, config)).toBeUndefined();
});

test.for([
  ['subgroup / GX * (BM / GY)', 'subgroup / GX * BM'],
  ['a_tile[at + c] = v[c]', 'a_tile[at] = v[c]'],
  ['k < BK; k += FK', 'k < BK - FK; k += FK'],
  ['e % FN;', 'e % FM;'],
  ['left_at(top + m * FM, k)', 'left_at(top, k)'],
] as const)('"%s" made "%s" is caught', async ([right, wrong], context) => {
  context.skip(!gpu.caps.subgroups, `${gpu.name} has no subgroups`);
  const edit = (wgsl: string) => {
    expect(wgsl).toContain(right);
    return wgsl.replace(right, wrong);
  };
  expect(
    await emulatedMismatch(gpu, gemm, 'f32 77x36x68 gelu residual kn', 'matrix', UNEVEN, edit),
  ).toBeDefined();
});
