/**
 * Variants of an op beside each other on one case: right or wrong, time, share of the ceilings, and how much of the device's limits each
 * takes. A user's own kernel is one more variant, which the op's whole table has checked before. No Node API: the page runs it, too.
 */
import type { Capabilities } from '../../src/runtime/capabilities';
import { DeviceLostError, MlaLpError, OptionError } from '../../src/runtime/errors';
import { Graph } from '../../src/runtime/graph';
import { type Cannot, isCannot, type Lowering, type Op } from '../../src/runtime/op';
import { plan, type Step } from '../../src/runtime/plan';
import { specialise } from '../../src/runtime/specialise';
import { TunedLookup } from '../../src/runtime/tuned';
import { type AnyCase, type AnySuite, callOf, skipReason, usesF16 } from '../../test/kernels/run-case';
import type { Verifier } from '../kernels/check';
import { addCase, prepare, type Ready } from '../kernels/kernels';
import { interleave } from '../measure';
import { type BenchRecord, type Ceilings, type Floor, type Row, rowOf, shareOf } from '../record';
import type { Session } from '../session';
import { type Occupancy, occupancyOf } from './occupancy';
import { OwnKernel, type OwnSource } from './own-kernel';
import { type OwnReport, tryOnTable } from './own-table';
import { assertFits } from './request';
import { TimeLimitError, withinLimit } from './time-limit';
import { type Subject, subjectOf, type Verdict, verify } from './verify';

export interface LaboratoryRequest {
  readonly suite: AnySuite;
  readonly case: AnyCase;
  /** `chosen`: the engine's choice for the device. A variant that is named and cannot run is told as such. */
  readonly variants: 'all' | 'chosen' | readonly string[];
  readonly own?: OwnSource;
  /** Told as soon as the table is done, before anything is timed. */
  readonly onOwn?: (report: OwnReport) => void;
  /** Longest wait for the own kernel, ms; ten times as long for the engine's. */
  readonly limitMs: number;
}

/** A variant that is right, and its times. */
export interface LaboratoryRow extends Row {
  readonly check: Verdict;
  /** First compilation of its pipelines in this process; a driver's cache may have known them. */
  readonly compileMs: number;
  /** What the floor takes at the measured ceilings. */
  readonly floorMs: number;
  readonly limits: Occupancy;
  /** The engine takes this one on this device. */
  readonly chosen: boolean;
  /** It is the user's own. */
  readonly own: boolean;
}

export interface LaboratoryResult {
  readonly op: string;
  readonly case: string;
  readonly ceilings: Ceilings;
  readonly floor: Floor;
  readonly chosen: string;
  readonly rows: readonly LaboratoryRow[];
  readonly own?: OwnReport;
}

/** A bench record whose rows say more: what `bench kernel --json` writes and the page offers. */
export type LaboratoryRecord = Omit<BenchRecord, 'rows' | 'versions'> &
  LaboratoryResult & { readonly versions: Readonly<Record<string, unknown>> };

/**
 * Looks at the own kernel, measures the ceilings, checks each variant, then times those that are right, in turns. What got no time goes to
 * `session.skipped` (cannot run) and `session.failed` (wrong or broken).
 * @param measure the ceilings; sets the session's clock.
 * @throws OptionError for a variant that is not there and a kernel that breaks the contract; WgslError with file and line for one that
 * does not compile; TimeLimitError for one that does not end, after which the device is of no use; MlaLpError when the device is lost.
 */
export async function runLaboratory(
  session: Session,
  request: LaboratoryRequest,
  measure: () => Promise<Ceilings>,
): Promise<LaboratoryResult> {
  const { gpu } = session;
  const { suite, case: one } = request;
  assertFits(suite, one, gpu.caps);
  const names = variantNames(suite, request.variants);
  const own = request.own && new OwnKernel(suite, request.own, gpu.caps);
  // `choose` of an op may look at its own variants.
  const op: Op<unknown> = own ? { ...suite.op, variants: [...suite.op.variants, own] } : suite.op;
  const call = callOf(suite, one);
  const tuned = new TunedLookup(gpu.caps.tuned ?? new Map(), gpu.caps).find(suite.op, call);
  const chosen = tuned ?? suite.op.choose(call, gpu.caps);
  if (request.variants === 'chosen') names.push(chosen);

  const report = own && (await tryOnTable(session, { ...suite, op }, own, request).catch(blame(own.name)));
  if (report) request.onOwn?.(report);
  const ceilings = await measure(); // before failures are noted: of its own ones none may be
  for (const { case: name, reason } of report?.wrong ?? []) {
    session.failed.push({ suite: op.name, case: name, variant: own!.name, reason });
  }
  const subject = subjectOf(suite, one);
  const wanted = [...names, ...(own && report!.wrong.length === 0 ? [own.name] : [])];
  const bar = session.progress(`${op.name} ${one.name}`, 2 * wanted.length);
  const ready: (Ready & Measured)[] = [];
  try {
    for (const variant of wanted) {
      // The engine's own variants are known to end, but may be slow.
      const limitMs = (variant === own?.name ? 1 : 10) * request.limitMs;
      const trial = tryVariant(session, { ...suite, op }, subject, variant, limitMs);
      const measured = await trial.catch(blame(variant));
      if (measured) ready.push(measured);
      else bar.step();
      bar.step();
    }
    const times = await interleave(
      ready.map(({ timer }) => timer),
      { budgetMs: session.budgetMs, onDone: bar.step },
    );
    const dtype = usesF16(call) ? 'f16' : 'f32';
    const rows = ready.map(({ variant, floor, checked, check, compileMs, limits }, i): LaboratoryRow => {
      const what = { suite: op.name, case: one.name, variant, dtype, floor, checked } as const;
      const row = rowOf(what, times[i]!, ceilings);
      const floorMs = shareOf(floor, dtype, 1, ceilings);
      return {
        ...row,
        check,
        compileMs,
        floorMs,
        limits,
        chosen: variant === chosen,
        own: variant === own?.name,
      };
    });
    const { flops, bytes } = stepOf(session, op, one, op.variants[0]!.name);
    return {
      op: op.name,
      case: one.name,
      ceilings,
      floor: { flops, bytes },
      chosen,
      rows,
      ...(report && { own: report }),
    };
  } finally {
    bar.finish();
    for (const { destroy } of ready) destroy();
  }
}

function variantNames({ op }: AnySuite, wanted: LaboratoryRequest['variants']): string[] {
  const names = op.variants.map(({ name }) => name);
  if (wanted === 'chosen') return [];
  if (wanted === 'all') return names;
  const unknown = wanted.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new OptionError(`${op.name} has no variant ${unknown}.`, `It has: ${names.join(', ')}.`);
  }
  return [...new Set(wanted)];
}

interface Measured {
  readonly check: Verdict;
  readonly compileMs: number;
  readonly limits: Occupancy;
}

/** Compiles, checks and warms up. Undefined, and noted, when there is nothing to time. */
async function tryVariant(
  session: Session,
  suite: AnySuite,
  subject: Subject,
  variant: string,
  limitMs: number,
): Promise<(Ready & Measured) | undefined> {
  const { gpu } = session;
  const { op } = suite;
  const { case: one, call } = subject;
  const left = { suite: op.name, case: one.name, variant };
  const lowering = lowerBy(op, call, variant, session);
  const reason = isCannot(lowering) ? lowering.cannot : skipReason(gpu, call, lowering);
  if (reason !== undefined || isCannot(lowering)) {
    session.skipped.push({ ...left, reason: reason! });
    return undefined;
  }
  try {
    const work = (async () => {
      const compileMs = await compile(session, op, one, variant);
      const check = await verify(gpu, op, subject, variant);
      return { compileMs, check };
    })();
    const { compileMs, check } = await withinLimit(`${op.name} ${variant}`, limitMs, work);
    if (check.wrong) {
      session.failed.push({ ...left, reason: check.wrong });
      return undefined;
    }
    const known: Verifier = {
      operands: () => subject.operands,
      check: async () => ({ checked: subject.at ? 'rows of this case' : 'this case' }),
    };
    const ready = await withinLimit(
      `${op.name} ${variant}`,
      limitMs,
      prepare(session, suite, one, variant, known),
    );
    return ready && { ...ready, check, compileMs, limits: limitsOf(lowering, gpu.caps) };
  } catch (error) {
    if (error instanceof DeviceLostError || error instanceof TimeLimitError) throw error;
    session.failed.push({ ...left, reason: error instanceof Error ? error.message : String(error) });
    return undefined;
  }
}

function lowerBy(
  op: Op<unknown>,
  call: Subject['call'],
  variant: string,
  { gpu }: Session,
): Lowering | Cannot {
  return op.variants.find(({ name }) => name === variant)!.lower(call, gpu.caps);
}

function limitsOf({ dispatches }: Lowering, caps: Capabilities): Occupancy {
  const texts = dispatches.map(({ kernel, workgroups, ...rest }) => ({
    wgsl: specialise(kernel.name, kernel.wgsl, { ...rest, includes: kernel.includes ?? {}, unroll: false }),
    workgroups,
  }));
  return occupancyOf(texts, caps);
}

/** All pipelines of a variant at once, as an executable compiles them; ms. */
async function compile(session: Session, op: Op<unknown>, one: AnyCase, variant: string): Promise<number> {
  const { gpu } = session;
  const { dispatches } = stepOf(session, op, one, variant);
  const start = performance.now();
  await Promise.all(
    dispatches.map(({ dispatch, wgsl, layout }) => gpu.pipeline(dispatch.kernel.name, wgsl, layout)),
  );
  return performance.now() - start;
}

/** The case as one step of a plan. */
function stepOf(session: Session, op: Op<unknown>, one: AnyCase, variant: string): Step {
  const g = new Graph();
  addCase(g, op, one);
  return plan(g, session.gpu.caps, { variants: { [op.name]: variant } }).steps[0]!;
}

/** Says during which kernel the device was lost: drivers end those that take too long that way. */
function blame(variant: string) {
  return (error: unknown): never => {
    if (!(error instanceof DeviceLostError)) throw error;
    throw new MlaLpError(
      'device-lost',
      `The device was lost while ${variant} ran. ${error.fact}`,
      'Look for a loop that does not end, accesses far outside, or work of seconds in one dispatch.',
      { cause: error },
    );
  };
}
