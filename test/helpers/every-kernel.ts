/**
 * Runs every variant of every op, of those that differ by constants one, in a browser or Deno, on the largest case of its table within `maxFlops`: one call, plain
 * data. (test/kernels runs whole tables, in Node; compiling alone takes seconds a variant with SwiftShader here.)
 */
import { suites } from '../../src/kernels/suites';
import { acquireAdapter as fromBrowser } from '../../src/platform/browser/adapter';
import { acquireAdapter as fromDeno } from '../../src/platform/deno/adapter';
import { Gpu } from '../../src/runtime/device';
import { isCannot, type Op } from '../../src/runtime/op';
import { sizeOf } from '../../src/runtime/tensor-type';
import {
  type AnyCase,
  type AnySuite,
  callOf,
  mismatchOf,
  referenceOf,
  runCase,
  usesF16,
} from '../kernels/run-case';

export interface KernelRun {
  readonly adapter: string;
  readonly software: boolean;
  readonly passed: readonly string[];
  readonly failures: readonly string[];
}

export async function everyKernel(platform: 'browser' | 'deno', maxFlops: number): Promise<KernelRun> {
  const gpu = await Gpu.open(await (platform === 'deno' ? fromDeno : fromBrowser)());
  const failures: string[] = [];
  const passed: string[] = [];
  for (const suite of suites) {
    for (const variant of suite.op.variants) {
      const one = variant.sibling ? undefined : largestCase(suite, variant, gpu, maxFlops);
      if (!one) continue;
      const problem = await runCase(gpu, suite.op, one, variant.name).then(
        ({ outputs }) => mismatchOf(suite.op, callOf(suite, one), outputs, referenceOf(suite, one)),
        (error: unknown) => String(error),
      );
      const name = `${suite.op.name}, ${one.name}, ${variant.name}`;
      if (problem) failures.push(`${name}: ${problem}`);
      else passed.push(name);
    }
  }
  const run = { adapter: gpu.name, software: gpu.choice.software, passed, failures };
  gpu.destroy();
  return run;
}

function largestCase(suite: AnySuite, variant: Op<unknown>['variants'][number], gpu: Gpu, maxFlops: number) {
  const flops = (one: AnyCase) => suite.op.flops(callOf(suite, one));
  return suite.cases
    .filter((one) => {
      const call = callOf(suite, one);
      const elements = call.outputs.reduce((sum, type) => sum + sizeOf(type), 0);
      const runs = gpu.caps.f16 || !usesF16(call);
      // Many tiny workgroups with barriers take a CPU a minute.
      return (
        runs && elements <= 100_000 && flops(one) <= maxFlops && !isCannot(variant.lower(call, gpu.caps))
      );
    })
    .sort((a, b) => flops(b) - flops(a))[0];
}

if ('Deno' in globalThis) {
  const { Deno } = globalThis as unknown as { Deno: { args: string[] } };
  console.log(JSON.stringify(await everyKernel('deno', Number(Deno.args[0]))));
}
