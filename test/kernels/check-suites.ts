/** The correctness test of every op's table on one device: test/kernels runs the small cases, test/full the large ones. */
import { describe, expect, test } from 'vitest';
import { suites } from '../../src/kernels/suites';
import type { Gpu } from '../../src/runtime/device';
import { isCannot, type Variant } from '../../src/runtime/op';
import {
  type AnyCase,
  type AnySuite,
  callOf,
  compilesForSeconds,
  mismatchOf,
  referenceOf,
  runCase,
  sameBits,
  skipReason,
} from './run-case';

/**
 * Declares one test for every case whose FLOPs `wanted` takes and every variant that can run it. Of variants that are others with
 * other constants (`sibling`), and of kernels that take seconds to compile, `siblings` says whether they run on the few cases that
 * are marked for them (`marked`), or on all the others (`rest`, without any other variant).
 */
export function checkSuites(
  gpu: Gpu,
  wanted: (flops: number) => boolean,
  siblings: 'marked' | 'rest' = 'marked',
): void {
  for (const suite of suites) {
    const { op } = suite;
    const runs = suite.cases
      .filter((one) => wanted(op.flops(callOf(suite, one))))
      .map((one) => ({ one, variants: variantsFor(gpu, suite, one, siblings) }))
      .filter(({ variants }) => variants.length > 0);
    if (runs.length === 0) continue;
    describe(op.name, () => {
      for (const { one, variants } of runs) {
        const call = callOf(suite, one);
        let want: Float64Array[] | undefined;
        for (const { variant, lowering } of variants) {
          test(`${one.name}: ${variant.name}`, async (context) => {
            const reason = skipReason(gpu, call, lowering);
            context.skip(reason !== undefined, reason);
            want ??= referenceOf(suite, one);
            const { outputs, again } = await runCase(gpu, op, one, variant.name);
            expect(mismatchOf(op, call, outputs, want)).toBeUndefined();
            const repeats = outputs.every((output, i) => sameBits(output, again[i]!));
            expect(repeats, 'a second run gives the same bits').toBe(true);
          });
        }
      }
    });
  }
}

/** The variants that can run a case, and run it here. */
function variantsFor(gpu: Gpu, suite: AnySuite, one: AnyCase, siblings: 'marked' | 'rest') {
  return suite.op.variants.flatMap((variant) => {
    const lowering = variant.lower(callOf(suite, one), gpu.caps);
    if (isCannot(lowering)) return [];
    const slow = gpu.caps.software && compilesForSeconds(lowering);
    const rare = !one.siblings && (variant.sibling !== undefined || slow);
    return rare === (siblings === 'rest') ? [{ variant, lowering }] : [];
  });
}

/**
 * Declares one test for every variant with a grid folded as if a device took only three workgroups along an axis: what
 * else only shapes of more than 65535 workgroups would show.
 */
export function checkFolding(gpu: Gpu): void {
  const caps = { ...gpu.caps, maxWorkgroupsPerDimension: 3 };
  const workgroupsOf = (suite: AnySuite, one: AnyCase, variant: Variant<unknown>) => {
    const lowering = variant.lower(callOf(suite, one), caps);
    if (isCannot(lowering) || compilesForSeconds(lowering)) return 0;
    if (skipReason(gpu, callOf(suite, one), lowering)) return 0;
    return Math.max(...lowering.dispatches.map(({ workgroups: [x, y, z] }) => x * y * z));
  };
  for (const suite of suites) {
    for (const variant of suite.op.variants) {
      if (variant.sibling) continue;
      // The smallest grid of several rows, the last of them not full.
      const [smallest] = suite.cases
        .map((one) => ({ one, workgroups: workgroupsOf(suite, one, variant) }))
        .filter(({ workgroups }) => workgroups > 3)
        .sort((a, b) => a.workgroups - b.workgroups);
      if (!smallest) continue;
      test(`${suite.op.name}: ${variant.name}, ${smallest.one.name}`, async () => {
        const call = callOf(suite, smallest.one);
        const { outputs } = await runCase(gpu, suite.op, smallest.one, variant.name, caps);
        expect(mismatchOf(suite.op, call, outputs, referenceOf(suite, smallest.one))).toBeUndefined();
      });
    }
  }
}
