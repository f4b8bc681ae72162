/** Attention on emulated matrix units: tiles, types and how they are divided; and faults are caught. */
import { expect, test } from 'vitest';
import { openTestGpu } from '../helpers/gpu';
import { attention, emulatedMismatch, UNEVEN } from '../kernels/emulated-matrix';

const gpu = await openTestGpu();
const SQUARE = { component: 'f16', result: 'f32', M: 16, N: 16, K: 16 };
const SMALL = { component: 'f32', result: 'f32', M: 8, N: 8, K: 8 };
/** Wide enough that subgroups are divided along queries, too. */
const TALL = { component: 'f32', result: 'f32', M: 8, N: 16, K: 8 };

test.for([
  ['f32 B=3 T=77 heads=1x64 causal lse', 'matrix_16x32', UNEVEN],
  ['f32 B=2 T=50 heads=3x32', 'matrix_16x32', UNEVEN],
  ['f32 B=1 T=65 heads=2x80 causal', 'matrix_16x32', SMALL],
  ['f32 B=2 T=1 heads=1x32', 'matrix_16x32', SMALL],
  ['f32 B=1 T=77 heads=2x16 lse rising', 'matrix_16x32', UNEVEN],
  ['f32 B=1 T=77 heads=2x16 lse rising', 'matrix_32x64', SMALL],
  ['f16 B=2 T=50 heads=2x64', 'matrix_16x32', SQUARE],
  ['f16 B=1 T=37 heads=2x80 causal', 'matrix_16x32', SQUARE],
  ['f16 B=1 T=77 heads=2x64 causal lse rising', 'matrix_16x32', SQUARE],
] as const)('%s: %s', async ([name, variant, config], context) => {
  const f16 = name.startsWith('f16');
  context.skip(!gpu.caps.subgroups || (f16 && !gpu.caps.f16), `${gpu.name} cannot run it`);
  expect(await emulatedMismatch(gpu, attention, name, variant, config)).toBeUndefined();
});

test.for([
  ['subgroup / GX * (BQ / GY)', 'subgroup / GX * BQ'],
  ['subgroup % GX * (BK / GX)', '0u'],
  ['subgroup % GX * (4u * QUADS / GX)', '0u'],
  ['kv_tile[at + c] = v[c]', 'kv_tile[at] = v[c]'],
  ['q[m * STEPS + k], b', 'q[m * STEPS], b'],
  ['score[m] = Result();', ''],
  ['largest = subgroupMax(largest);', ''],
  ['total[r] *= factor;', ''],
  ['factor = exp(peak[r] - largest);', ''],
  ['if (scaled != 0u)', 'if (false)'],
  ['scaled |= peaks[s]', 'scaled = peaks[0]'],
  ['sum[m * RO + n] = take(top + m * FM, left + n * FN);', ''],
  ['slice + key < limit', 'true'],
  ['slice + BK, first + width', 'slice, first + width'],
  ['k < BK; k += FK', 'k < BK - FK; k += FK'],
  ['subgroupAdd(total[r])', 'total[r]'],
  ['peak[r] + log(whole)', 'log(whole)'],
] as const)('"%s" made "%s" is caught', async ([right, wrong], context) => {
  context.skip(!gpu.caps.subgroups, `${gpu.name} has no subgroups`);
  const edit = (wgsl: string) => {
    expect(wgsl).toContain(right);
    return wgsl.replace(right, wrong);
  };
  const name = 'f32 B=1 T=77 heads=2x16 lse rising';
  // Two subgroups along keys; or, where the fault is in rows, along queries.
  const [variant, config] = right.includes('GY')
    ? (['matrix_32x64', TALL] as const)
    : (['matrix_16x32', UNEVEN] as const);
  expect(await emulatedMismatch(gpu, attention, name, variant, config, edit)).toBeDefined();
});
