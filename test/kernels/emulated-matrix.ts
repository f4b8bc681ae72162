/**
 * GEMM on matrix units where there are none: its kernel with plain WGSL in place of the subgroup matrices, for configurations that
 * a device is said to have. What is tested is all of the kernel but Dawn's own types and calls.
 */
import { gemmSuite } from '../../src/kernels/gemm/cases';
import { anySuite } from '../../src/kernels/suite';
import type { Capabilities, MatrixConfig } from '../../src/runtime/capabilities';
import type { Gpu } from '../../src/runtime/device';
import { type Dispatch, isCannot, type Op } from '../../src/runtime/op';
import { callOf, mismatchOf, referenceOf, runCase } from './run-case';
import emulatedWgsl from './subgroup_matrix_emulated.wgsl';

export const suite = anySuite(gemmSuite);

/** Unlike sizes, so that none stands for another. */
export const UNEVEN: MatrixConfig = { component: 'f32', result: 'f32', M: 16, N: 8, K: 4 };

export function withConfig(caps: Capabilities, config: MatrixConfig): Capabilities {
  return { ...caps, matrixConfigs: [config] };
}

/** `op` with the kernel's text changed by `edit` (a fault) and the matrices emulated. */
function emulated(op: Op<unknown>, edit: (wgsl: string) => string): Op<unknown> {
  const emulate = ({ kernel, constants, ...rest }: Dispatch): Dispatch => {
    if (kernel.name !== 'gemm_matrix') return { ...rest, kernel, ...(constants && { constants }) };
    const { BM, BN } = constants as Record<string, number>;
    const sums = `const SUMS: u32 = ${BM! * BN!}u;\n`;
    const wgsl = kernel.wgsl.replace(/^enable chromium.*\n/m, '').replace(/^diagnostic.*\n/m, '');
    const includes = { ...kernel.includes, subgroup_matrix: sums + emulatedWgsl };
    return {
      ...rest,
      constants: constants!,
      unroll: false,
      kernel: { ...kernel, wgsl: edit(wgsl), includes },
    };
  };
  const variants = op.variants.map((variant): Op<unknown>['variants'][number] => ({
    name: variant.name,
    lower: (call, caps) => {
      const lowering = variant.lower(call, caps);
      return isCannot(lowering) ? lowering : { ...lowering, dispatches: lowering.dispatches.map(emulate) };
    },
  }));
  return { ...op, variants };
}

/** What is wrong with the results of the case of that name; undefined when they are right. @throws when the variant cannot run. */
export async function emulatedMismatch(
  gpu: Gpu,
  name: string,
  variant: string,
  config: MatrixConfig,
  edit: (wgsl: string) => string = (wgsl) => wgsl,
): Promise<string | undefined> {
  const one = suite.cases.find((c) => c.name === name)!;
  const op = emulated(suite.op, edit);
  const { outputs } = await runCase(gpu, op, one, variant, withConfig(gpu.caps, config));
  return mismatchOf(suite.op, callOf(suite, one), outputs, referenceOf(suite, one));
}
