/**
 * Kernels on matrix units where there are none: with plain WGSL in place of the subgroup matrices, for configurations that a device
 * is said to have. What is tested is all of the kernel but Dawn's own types and calls.
 */
import { attentionBackwardSuite, attentionSuite } from '../../src/kernels/attention/cases';
import { gemmSuite } from '../../src/kernels/gemm/cases';
import { anySuite } from '../../src/kernels/suite';
import type { Capabilities, MatrixConfig } from '../../src/runtime/capabilities';
import type { Gpu } from '../../src/runtime/device';
import { type Dispatch, isCannot, type Op } from '../../src/runtime/op';
import emulatedBackwardWgsl from './attention_backward_units_emulated.wgsl';
import emulatedUnitsWgsl from './attention_units_emulated.wgsl';
import { type AnySuite, callOf, mismatchOf, referenceOf, runCase } from './run-case';
import emulatedWgsl from './subgroup_matrix_emulated.wgsl';

export const gemm = anySuite(gemmSuite);
export const attention = anySuite(attentionSuite);
export const attentionBackward = anySuite(attentionBackwardSuite);

/** Unlike sizes, so that none stands for another. */
export const UNEVEN: MatrixConfig = { component: 'f32', result: 'f32', M: 16, N: 8, K: 4 };

export function withConfig(caps: Capabilities, config: MatrixConfig): Capabilities {
  return { ...caps, matrixConfigs: [config] };
}

/** What takes the place of a kernel's include with subgroup matrices, for its constants; by the kernel's name without its tile. */
const EMULATIONS: Readonly<Record<string, (constants: Record<string, number>) => Record<string, string>>> = {
  gemm_matrix: ({ BM, BN }) => ({ subgroup_matrix: `const SUMS: u32 = ${BM! * BN!}u;\n${emulatedWgsl}` }),
  attention_matrix: ({ BQ, QUADS }) => ({
    attention_units: `const OUTPUTS: u32 = ${BQ! * 4 * QUADS!}u;\n${emulatedUnitsWgsl}`,
  }),
  attention_backward_matrix: ({ BR, QUADS }) => ({
    attention_backward_units: `const SUMS: u32 = ${BR! * 8 * QUADS!}u;\n${emulatedBackwardWgsl}`,
  }),
};

/** `op` with the kernel's text changed by `edit` (a fault) and the matrices emulated. */
function emulated(op: Op<unknown>, edit: (wgsl: string) => string): Op<unknown> {
  const emulate = (dispatch: Dispatch): Dispatch => {
    const { kernel, constants } = dispatch;
    const emulation = EMULATIONS[/^\w+_matrix/.exec(kernel.name)?.[0] ?? ''];
    if (!emulation) return dispatch;
    const wgsl = kernel.wgsl.replace(/^enable chromium.*\n/m, '').replace(/^diagnostic.*\n/m, '');
    const includes = { ...kernel.includes, ...emulation(constants as Record<string, number>) };
    return { ...dispatch, unroll: false, kernel: { ...kernel, wgsl: edit(wgsl), includes } };
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

/** Why attention's case of that name is not emulated on a device; undefined where it is. */
export function emulationObstacle({ caps, name: device }: Gpu, name: string): string | undefined {
  if (!caps.subgroups) return `${device} has no subgroups`;
  if (name.startsWith('f16')) return caps.f16 ? undefined : `${device} has no shader-f16`;
  return caps.software && caps.subgroupMaxSize >= 8
    ? `${device} takes a minute to compile it; SwiftShader checks it`
    : undefined;
}

/** What is wrong with the results of the case of that name; undefined when they are right. @throws when the variant cannot run. */
export async function emulatedMismatch(
  gpu: Gpu,
  suite: AnySuite,
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
