/** Attention on emulated matrix units: tiles, types and how they are divided; and faults are caught. */
import { expect, test } from 'vitest';
import { openTestGpu } from '../helpers/gpu';
import {
  attention,
  attentionBackward,
  emulatedMismatch,
  emulationObstacle,
  UNEVEN,
} from '../kernels/emulated-matrix';

const gpu = await openTestGpu();
const SQUARE = { component: 'f16', result: 'f32', M: 16, N: 16, K: 16 };
const SMALL = { component: 'f32', result: 'f32', M: 8, N: 8, K: 8 };
/** Wide enough that subgroups are divided along queries, too. */
const TALL = { component: 'f32', result: 'f32', M: 8, N: 16, K: 8 };

/** The cases on which faults must show. */
const [FAULTY, FAULTY_GRADIENT] = ['f32 B=1 T=77 heads=2x16 lse rising', 'f32 B=1 T=40 heads=2x16 causal'];

test.for([
  ['f32 B=3 T=77 heads=1x64 causal lse', 'matrix_16x32', UNEVEN],
  ['f32 B=2 T=50 heads=3x32', 'matrix_16x32', UNEVEN],
  ['f32 B=1 T=65 heads=2x80 causal', 'matrix_16x32', SMALL],
  ['f32 B=2 T=1 heads=1x32', 'matrix_16x32', SMALL],
  ['f32 B=1 T=77 heads=2x16 lse rising', 'matrix_16x32', UNEVEN],
  ['f32 B=1 T=77 heads=2x16 lse rising', 'matrix_32x64', SMALL],
  ['f16 B=1 T=77 heads=2x16 causal lse rising', 'matrix_16x32', SQUARE],
] as const)('%s: %s', async ([name, variant, config], context) => {
  const obstacle = emulationObstacle(gpu, name);
  context.skip(obstacle !== undefined, obstacle);
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
  const obstacle = emulationObstacle(gpu, FAULTY);
  context.skip(obstacle !== undefined, obstacle);
  const edit = (wgsl: string) => {
    expect(wgsl).toContain(right);
    return wgsl.replace(right, wrong);
  };
  // Two subgroups along keys; or, where the fault is in rows, along queries.
  const [variant, config] = right.includes('GY')
    ? (['matrix_32x64', TALL] as const)
    : (['matrix_16x32', UNEVEN] as const);
  expect(await emulatedMismatch(gpu, attention, FAULTY, variant, config, edit)).toBeDefined();
});

test.for([
  ['f32 B=2 T=50 heads=3x32', 'matrix_16x16', UNEVEN],
  ['f32 B=2 T=1 heads=1x32', 'matrix_16x16', SMALL],
  ['f32 B=1 T=40 heads=2x16 causal', 'matrix_32x32', SMALL],
  ['f16 B=1 T=40 heads=2x16 causal', 'matrix_16x16', SQUARE],
] as const)('gradient, %s: %s', async ([name, variant, config], context) => {
  const obstacle = emulationObstacle(gpu, name);
  context.skip(obstacle !== undefined, obstacle);
  expect(await emulatedMismatch(gpu, attentionBackward, name, variant, config)).toBeUndefined();
});

test.for([
  ['subgroup / GX * (BR / GY)', 'subgroup / GX * BR'],
  ['subgroup % GX * (BS / GX)', '0u'],
  ['subgroup % GX * (4u * QUADS / GX)', '0u'],
  ['rows_2[at + c] = two[c]', 'rows_2[at + c] = one[c]'],
  ['slice_2[at + c] = two[c]', 'slice_2[at] = two[c]'],
  ['load_2(local + l * THREADS, slice + BS', 'load_2(local + l * THREADS, slice'],
  ['a_2[m * STEPS + k], b_2', 'a_1[m * STEPS + k], b_2'],
  ['dp[m] = Result();', ''],
  ['sum = subgroupAdd(sum);', ''],
  ['delta[line + query] = sum;', 'delta[line + query] = 0.0f;'],
  ['query < TOKENS && (!CAUSAL || query >= base + row)', 'query < TOKENS'],
  ['select(TOKENS, min(base + row + 1u, TOKENS), CAUSAL)', 'TOKENS'],
  ['dp - dot_y[r]', 'dp'],
  ['p * (dp - dot_y))', 'p * dp)'],
  ['k < BS; k += FK', 'k < BS - FK; k += FK'],
  ['multiply_accumulate(p, b_2', 'multiply_accumulate(ds, b_2'],
  ['dqkv[at + width] = vec4<T>(SCALE * ', 'dqkv[at + width] = vec4<T>('],
] as const)('gradient, "%s" made "%s" is caught', async ([right, wrong], context) => {
  const obstacle = emulationObstacle(gpu, FAULTY_GRADIENT);
  context.skip(obstacle !== undefined, obstacle);
  const edit = (wgsl: string) => {
    expect(wgsl).toContain(right);
    return wgsl.replace(right, wrong);
  };
  const [variant, config] = right.includes('GY')
    ? (['matrix_32x32', SMALL] as const)
    : (['matrix_16x16', UNEVEN] as const);
  expect(
    await emulatedMismatch(gpu, attentionBackward, FAULTY_GRADIENT, variant, config, edit),
  ).toBeDefined();
});
