/** Times kernels on the `bench` cases of their tables. */
import { suites } from '../../src/kernels/suites';
import { DeviceLostError, OptionError } from '../../src/runtime/errors';
import type { Graph } from '../../src/runtime/graph';
import { isCannot, type Op } from '../../src/runtime/op';
import { chosenVariant } from '../../src/runtime/tuned';
import { type AnyCase, type AnySuite, callOf, skipReason, usesF16 } from '../../test/kernels/run-case';
import { type AddRepetition, GraphTimer, storeOf, type TimerOptions } from '../graph-timer';
import { interleave } from '../measure';
import { type Ceilings, type Checked, type Floor, type Row, rowOf } from '../record';
import type { Session } from '../session';
import { Checker, type CheckMode, type Verifier } from './check';

export interface KernelChoice {
  /** Op name; all without it. */
  readonly op?: string;
  /** Part of a case's name. */
  readonly case?: string;
  readonly variants: 'all' | 'chosen';
  readonly check: CheckMode;
}

/** A kernel that is right, warm, and ready to be timed. */
export interface Ready {
  readonly case: AnyCase;
  readonly variant: string;
  readonly dtype: Row['dtype'];
  readonly floor: Floor;
  readonly checked: Checked;
  readonly timer: GraphTimer;
  readonly destroy: () => void;
}

/** Suites with the bench cases that `choice` names. @throws OptionError when there are none. */
export function chooseCases(
  choice: Pick<KernelChoice, 'op' | 'case'>,
  from: readonly AnySuite[] = suites,
): { readonly suite: AnySuite; readonly cases: readonly AnyCase[] }[] {
  const named = from.filter(({ op }) => choice.op === undefined || op.name === choice.op);
  if (named.length === 0) {
    const names = from.map(({ op }) => op.name).join(', ');
    throw new OptionError(`There is no op ${choice.op}.`, `There are: ${names}.`);
  }
  const chosen = named.map((suite) => ({
    suite,
    cases: suite.cases.filter((one) => one.bench && one.name.includes(choice.case ?? '')),
  }));
  const found = chosen.filter(({ cases }) => cases.length > 0);
  if (found.length === 0) {
    const names = named.flatMap(({ cases }) => cases.filter((one) => one.bench).map(({ name }) => name));
    throw new OptionError(
      `No bench case has "${choice.case}" in its name.`,
      `There are: ${names.join('; ')}.`,
    );
  }
  return found;
}

/** Rows of all chosen cases, op by op; the cases and variants of an op take turns. */
export async function benchKernels(
  session: Session,
  choice: KernelChoice,
  ceilings: Ceilings,
): Promise<void> {
  const checker = new Checker(session, choice.check);
  for (const { suite, cases } of chooseCases(choice)) {
    const { rows } = await benchSuite(session, suite, cases, choice.variants, checker);
    session.rows.push(...rows.map(({ what, ms }) => rowOf(what, ms, ceilings)));
    checker.forget();
  }
}

type Timing = { readonly what: Parameters<typeof rowOf>[0]; readonly ms: readonly number[] };

/** Checks, then times the cases of one op. */
export async function benchSuite(
  session: Session,
  suite: AnySuite,
  cases: readonly AnyCase[],
  variants: KernelChoice['variants'],
  checker: Checker,
): Promise<{ readonly rows: readonly Timing[] }> {
  const work = cases.flatMap((one) =>
    variantsOf(session, suite, one, variants).map((v) => [one, v] as const),
  );
  const bar = session.progress(suite.op.name, 2 * work.length);
  const ready: Ready[] = [];
  try {
    for (const [one, variant] of work) {
      const kernel = await prepare(session, suite, one, variant, checker);
      if (kernel) ready.push(kernel);
      else bar.step();
      bar.step();
    }
    const times = await interleave(
      ready.map(({ timer }) => timer),
      { budgetMs: session.budgetMs, onDone: bar.step },
    );
    return {
      rows: ready.map(({ case: { name }, variant, dtype, floor, checked }, i) => ({
        what: { suite: suite.op.name, case: name, variant, dtype, floor, checked },
        ms: times[i]!,
      })),
    };
  } finally {
    bar.finish();
    for (const { destroy } of ready) destroy();
  }
}

/** Names of the variants to time; those that cannot run here are noted. */
function variantsOf(
  session: Session,
  suite: AnySuite,
  one: AnyCase,
  which: KernelChoice['variants'],
): string[] {
  const { gpu } = session;
  const call = callOf(suite, one);
  const names =
    which === 'chosen'
      ? [chosenVariant(suite.op, call, gpu.caps)]
      : suite.op.variants.map(({ name }) => name);
  return names.filter((name) => {
    const lowering = suite.op.variants.find((v) => v.name === name)!.lower(call, gpu.caps);
    const reason = isCannot(lowering) ? lowering.cannot : skipReason(gpu, call, lowering);
    if (reason) session.skipped.push({ suite: suite.op.name, case: one.name, variant: name, reason });
    return !reason;
  });
}

/** One repetition of a case: operands are the weights `x0`, `x1`, ..., results the outputs `y0.<repeat>`, ... */
export function addCase(g: Graph, op: Op<unknown>, one: AnyCase, repeat = 0): void {
  const inputs = one.inputs.map((type, i) => g.weight(`x${i}`, type.dtype, type.shape));
  g.apply(op, inputs, one.attrs).forEach((y, i) => {
    g.output(`y${i}.${repeat}`, y);
  });
}

/** Compiles, runs once, checks, calibrates. Undefined, and noted, when the kernel fails or is wrong. */
export async function prepare(
  session: Session,
  suite: AnySuite,
  one: AnyCase,
  variant: string,
  checker: Verifier,
): Promise<Ready | undefined> {
  const { op } = suite;
  const fail = (reason: string) => {
    session.failed.push({ suite: op.name, case: one.name, variant, reason });
    return undefined;
  };
  const call = callOf(suite, one);
  const operands = checker.operands(one).map((values, i) => ({ type: one.inputs[i]!, values }));
  const store = await storeOf(session.gpu, operands);
  const add: AddRepetition = (g, repeat) => addCase(g, op, one, repeat);
  const options: TimerOptions = { weights: store, variants: { [op.name]: variant } };
  let timer: GraphTimer | undefined;
  const destroy = () => {
    timer?.destroy();
    store.destroy();
  };
  try {
    timer = await GraphTimer.create(session, add, options);
    const results = await timer.run();
    const outputs = op.writes
      ? await Promise.all(op.writes.map((i) => store.read(`x${i}`)))
      : call.outputs.map((_, i) => results[`y${i}.0`]!);
    const verdict = await checker.check(suite, one, variant, outputs);
    if ('wrong' in verdict) {
      destroy();
      return fail(verdict.wrong);
    }
    const [step] = timer.plan.steps;
    const floor = { flops: step!.flops, bytes: step!.bytes };
    await timer.calibrate(add, options);
    const dtype = usesF16(call) ? 'f16' : 'f32';
    return { case: one, variant, dtype, floor, checked: verdict.checked, timer, destroy };
  } catch (error) {
    destroy();
    if (error instanceof DeviceLostError) throw error;
    return fail(error instanceof Error ? error.message : String(error));
  }
}
