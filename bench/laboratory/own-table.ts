/** A user's own kernel on the cases of its op's table, as the tests run them. */
import { DeviceLostError, MlaLpError } from '../../src/runtime/errors';
import { isCannot } from '../../src/runtime/op';
import {
  type AnyCase,
  type AnySuite,
  callOf,
  FLOPS_IN_TESTS,
  skipReason,
  usesF16,
} from '../../test/kernels/run-case';
import type { Session } from '../session';
import { diagnose, formatDiagnoses } from './diagnose';
import type { OwnKernel } from './own-kernel';
import { withinLimit } from './time-limit';
import { subjectOf, verify } from './verify';

interface Finding {
  readonly case: string;
  readonly reason: string;
}

export interface OwnReport {
  readonly file: string;
  /** Names of cases. */
  readonly right: readonly string[];
  readonly wrong: readonly Finding[];
  /** Cases that it says it is not for, or that its text cannot be for. */
  readonly notFor: readonly Finding[];
  /** Cases that this device has no feature or no patience for. */
  readonly skipped: readonly Finding[];
}

/** The device's compiler refuses a kernel of the user's. */
export class WgslError extends MlaLpError {
  constructor(
    file: string,
    readonly errors: string,
  ) {
    super('gpu-error', `${file} does not compile:\n${errors}`, '');
  }
}

/**
 * Every case but the one that is asked for, which is checked beside the other variants.
 * @param suite with `own` among its op's variants.
 * @throws WgslError when the kernel does not compile for the case asked; OptionError when it breaks the contract there; TimeLimitError.
 */
export async function tryOnTable(
  session: Session,
  suite: AnySuite,
  own: OwnKernel,
  { case: asked, limitMs }: { readonly case: AnyCase; readonly limitMs: number },
): Promise<OwnReport> {
  await assertCompiles(session, suite, own, asked);
  const cases = suite.cases.filter((one) => one !== asked);
  const bar = session.progress(`${own.file} on the table`, cases.length, 'cases');
  const found: Record<Outcome['as'], Finding[]> = { right: [], wrong: [], notFor: [], skipped: [] };
  try {
    for (const one of cases) {
      const work = tryCase(session, suite, own, one);
      const { as, reason } = await withinLimit(`${own.file} on ${one.name}`, limitMs, work);
      found[as].push({ case: one.name, reason });
      bar.step();
    }
  } finally {
    bar.finish();
  }
  return { file: own.file, ...found, right: found.right.map((one) => one.case) };
}

/** By the device's own compiler, which knows lines; the contract comes after. */
async function assertCompiles(
  { gpu }: Session,
  suite: AnySuite,
  own: OwnKernel,
  one: AnyCase,
): Promise<void> {
  const call = callOf(suite, one);
  const filled = own.fill(call, gpu.caps);
  if ('cannot' in filled || (usesF16(call) && !gpu.caps.f16)) return;
  const errors = await diagnose(gpu, filled.kernel, filled.spec);
  if (errors.length > 0) throw new WgslError(own.file, formatDiagnoses(errors));
  own.lower(call, gpu.caps);
}

interface Outcome {
  readonly as: 'right' | 'wrong' | 'notFor' | 'skipped';
  readonly reason: string;
}

async function tryCase({ gpu }: Session, suite: AnySuite, own: OwnKernel, one: AnyCase): Promise<Outcome> {
  const call = callOf(suite, one);
  if (usesF16(call) && !gpu.caps.f16) return { as: 'skipped', reason: `${gpu.name} has no shader-f16` };
  try {
    const lowering = own.lower(call, gpu.caps);
    if (isCannot(lowering)) return { as: 'notFor', reason: lowering.cannot };
    const large = gpu.caps.software && suite.op.flops(call) > FLOPS_IN_TESTS;
    const skip = skipReason(gpu, call, lowering) ?? (large && 'too large for a software adapter');
    if (skip) return { as: 'skipped', reason: skip };
    const { wrong } = await verify(gpu, suite.op, subjectOf(suite, one), own.name);
    return wrong ? { as: 'wrong', reason: wrong } : { as: 'right', reason: '' };
  } catch (error) {
    if (error instanceof DeviceLostError) throw error;
    const filled = own.fill(call, gpu.caps);
    const errors = 'cannot' in filled ? [] : await diagnose(gpu, filled.kernel, filled.spec);
    const message = error instanceof Error ? error.message : String(error);
    return {
      as: 'wrong',
      reason: errors.length > 0 ? `it does not compile: ${formatDiagnoses(errors)}` : message,
    };
  }
}
