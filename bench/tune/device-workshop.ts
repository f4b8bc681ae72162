/** The workshop of a search on a real device: a situation's calls, their checks, and its graph with any table. */
import type { OpSuite } from '../../src/kernels/suite';
import { TOLERANCE } from '../../src/kernels/tolerance';
import { DeviceLostError, MlaLpError } from '../../src/runtime/errors';
import type { Executable, OutputData } from '../../src/runtime/executable';
import type { Lowering, Op, OpCall } from '../../src/runtime/op';
import { sizeOf } from '../../src/runtime/tensor-type';
import { describeCall, legalVariants, type TunedTable, tuningKey } from '../../src/runtime/tuned';
import {
  type AnyCase,
  type CaseRun,
  FLOPS_IN_TESTS,
  runCase,
  sameBits,
  skipReason,
  usesF16,
} from '../../test/kernels/run-case';
import { plausible } from '../ceiling/ceiling';
import { Checker } from '../kernels/check';
import { prepare } from '../kernels/kernels';
import { cpuMs } from '../measure';
import type { Session } from '../session';
import { median } from '../stats';
import type { BuiltGraph, TunableCall, Workshop } from './search';
import type { Situation } from './situation';

/**
 * How calls are timed in their graph. `timestamp`: by the device, each call for itself. `wall`: the whole graph. `cpu`: the same by the CPU
 * time of this process, which other programs disturb less; for software adapters. The graph as a whole is timed by `wall` or `cpu`.
 */
export type TuneClock = 'timestamp' | 'wall' | 'cpu';

export interface WorkshopOptions {
  readonly base: TunedTable;
  /** Without it `timestamp`, where the device's can be believed, else `wall`. */
  readonly clock?: TuneClock;
  /** Tables of the ops that may be tuned. */
  readonly suites: readonly OpSuite<unknown>[];
}

interface Known {
  readonly op: Op<unknown>;
  readonly call: OpCall<unknown>;
  /** Steps of the plan that are such calls. */
  readonly steps: number[];
}

/** A sample is at least as many runs as take so long, ms. */
const SAMPLE_MS = 10;
const MOST_RUNS = 64;
/** Of the largest value: what two right graphs may differ by. */
const DRIFT = { f32: 1e-3, f16: 5e-2 } as const;

export class DeviceWorkshop implements Workshop {
  readonly #known = new Map<string, Known>();
  readonly #checker: Checker;
  /** Results of the choice on a call's own shape, for the call that is under work. */
  #expected: { readonly key: string; readonly outputs: CaseRun['outputs'] } | undefined;

  private constructor(
    private readonly session: Session,
    private readonly situation: Situation,
    private readonly options: WorkshopOptions,
    readonly clock: TuneClock,
    readonly calls: readonly TunableCall[],
    private readonly results: readonly OutputData[],
    known: ReadonlyMap<string, Known>,
  ) {
    for (const [key, value] of known) this.#known.set(key, value);
    this.#checker = new Checker(session, 'affordable');
  }

  /** Runs the situation once with the base table: its results are what all others are compared with. */
  static async open(
    session: Session,
    situation: Situation,
    options: WorkshopOptions,
  ): Promise<DeviceWorkshop> {
    const executable = await situation.compile(options.base);
    try {
      const results = await resultsOf(situation, executable);
      const times = await stepTimes(situation, executable);
      const clock = options.clock ?? (times ? 'timestamp' : 'wall');
      if (clock === 'timestamp' && !times)
        throw new MlaLpError(
          'unsupported-feature',
          `--clock timestamp: ${session.gpu.name} has no timestamps that agree with the clock.`,
          'Use --clock wall.',
        );
      const shares = times ?? executable.plan.steps.map(({ flops }) => flops);
      const { calls, known } = tunable(executable, shares, options);
      return new DeviceWorkshop(session, situation, options, clock, calls, results, known);
    } finally {
      executable.destroy();
    }
  }

  get name(): string {
    return this.situation.name;
  }

  async tryAlone(
    { key, text, choice }: TunableCall,
    variant: string,
    patience: number,
  ): Promise<{ wrong: string } | { ms: number }> {
    const { op, call } = this.#known.get(key)!;
    const suite = this.options.suites.find((one) => one.op === op)!;
    const { one, known } = caseOf(suite, call, text);
    try {
      if (this.#expected?.key !== key) {
        this.#checker.forget();
        this.#expected = { key, outputs: (await runCase(this.session.gpu, op, one, choice)).outputs };
      }
      const { outputs, again } = await runCase(this.session.gpu, op, one, variant);
      if (!outputs.every((values, i) => sameBits(values, again[i]!)))
        return { wrong: 'it computes differently from run to run' };
      const wrong = farFrom(outputs, this.#expected.outputs, TOLERANCE[usesF16(call) ? 'f16' : 'f32'].rtol);
      if (wrong) return { wrong: `it differs from ${choice}: ${wrong}` };
      const checker = this.#checker;
      const ready = await prepare(this.session, suite, one, variant, {
        operands: (each) => checker.operands(each),
        check: (of, each, name, results) => checker.check(of, each, name, results, known),
      });
      if (!ready) return { wrong: this.session.failed.pop()!.reason };
      try {
        const ms = [await ready.timer.sample()];
        for (let i = 0; i < 4 && ms[0]! <= 2 * patience; i++) ms.push(await ready.timer.sample());
        return { ms: median(ms) };
      } finally {
        ready.destroy();
      }
    } catch (error) {
      if (error instanceof DeviceLostError || !(error instanceof MlaLpError)) throw error;
      return { wrong: error.message };
    }
  }

  async build(table: TunedTable): Promise<BuiltGraph> {
    const { situation } = this;
    const executable = await situation.compile(table);
    try {
      const drift = DRIFT[usesHalf(executable) ? 'f16' : 'f32'];
      const wrong = farFrom(await resultsOf(situation, executable), this.results, drift);
      if (wrong) throw new MlaLpError('gpu-error', `the whole graph differs: ${wrong}`, '');
      const once = () => this.#timeOf(executable, 1);
      await once();
      const runs = Math.min(MOST_RUNS, Math.ceil(SAMPLE_MS / Math.max(0.01, await once())));
      const sampleCalls = async () => {
        const times = await executable.profile(situation.inputs);
        const sum = (steps: readonly number[]) =>
          steps.reduce((total, step) => total + times[step]!.nanoseconds, 0) / 1e6;
        return new Map([...this.#known].map(([key, { steps }]) => [key, sum(steps)]));
      };
      return {
        sample: () => this.#timeOf(executable, runs),
        ...(this.clock === 'timestamp' && { sampleCalls }),
        destroy: () => executable.destroy(),
      };
    } catch (error) {
      executable.destroy();
      throw error;
    }
  }

  /** Mean of `runs` runs, ms. */
  async #timeOf(executable: Executable, runs: number): Promise<number> {
    const { inputs } = this.situation;
    const cpu = process.cpuUsage();
    const start = performance.now();
    await Promise.all(Array.from({ length: runs }, () => executable.run(inputs, { wanted: [] })));
    if (this.clock !== 'cpu') return (performance.now() - start) / runs;
    return cpuMs(cpu) / runs;
  }
}

function usesHalf({ plan: { graph } }: Executable): boolean {
  return [...graph.weights.values()].some(({ dtype }) => dtype === 'f16');
}

/** Outputs of a run, and what it changed in place. */
async function resultsOf(situation: Situation, executable: Executable): Promise<OutputData[]> {
  const outputs = Object.values(await executable.run(situation.inputs));
  return [...outputs, ...((await situation.readEffects?.()) ?? [])];
}

/** The first result that is further from `want` than a share of `want`'s largest value, in words. NaN never passes. */
function farFrom(got: readonly OutputData[], want: readonly OutputData[], share: number): string | undefined {
  for (const [i, values] of want.entries()) {
    let largest = 0;
    for (const value of values) largest = Math.max(largest, Math.abs(value));
    const others = got[i]!;
    for (let j = 0; j < values.length; j++) {
      if (!(Math.abs(others[j]! - values[j]!) <= share * largest + Number.MIN_VALUE))
        return `element ${j} of result ${i} is ${others[j]} and not ${values[j]}`;
    }
  }
  return undefined;
}

/** Each step's time on the device in a run of the graph, ns; undefined where it has no timestamps, or none that can be believed. */
async function stepTimes(situation: Situation, executable: Executable): Promise<number[] | undefined> {
  if (!executable.gpu.device.features.has('timestamp-query')) return undefined;
  const start = performance.now();
  const times = await executable.profile(situation.inputs);
  const wall = performance.now() - start;
  const sum = times.reduce((total, { nanoseconds }) => total + nanoseconds, 0) / 1e6;
  const whole = times.length === executable.plan.steps.length;
  return whole && plausible(sum, wall) ? times.map(({ nanoseconds }) => nanoseconds) : undefined;
}

/** The graph's calls that have a choice, most time first. @param times by step, in any unit. */
function tunable(
  executable: Executable,
  times: readonly number[],
  { suites }: WorkshopOptions,
): { calls: TunableCall[]; known: Map<string, Known> } {
  const { gpu, plan } = executable;
  const known = new Map<string, Known>();
  const calls = new Map<string, TunableCall>();
  const sum = times.reduce((total, time) => total + time, 0);
  for (const [step, { node, variant }] of plan.steps.entries()) {
    const { op, attrs, inputs, outputs } = node;
    // In-place ops would need their operands written anew for every run, and indices need values that are some.
    const odd = op.writes || inputs.some(({ dtype }) => dtype === 'u32');
    if (odd || op.variants.length < 2 || !suites.some((one) => one.op === op)) continue;
    const call = { inputs: inputs.map((t) => t.type), outputs: outputs.map((t) => t.type), attrs };
    const key = tuningKey(op, call, gpu.caps);
    const before = calls.get(key);
    const others = before?.others ?? candidates(executable, op, call, variant);
    if (others.length === 0) continue;
    const kind = known.get(key) ?? { op, call, steps: [] };
    kind.steps.push(step);
    known.set(key, kind);
    const share = (before?.share ?? 0) + times[step]! / sum;
    calls.set(key, { key, text: before?.text ?? describeCall(op, call), choice: variant, others, share });
  }
  return { calls: [...calls.values()].sort((a, b) => b.share - a.share), known };
}

const hasBarriers = ({ dispatches }: Lowering) =>
  dispatches.some(({ kernel }) => kernel.wgsl.includes('workgroupBarrier'));

/**
 * Every variant that applies but two kinds that could only waste the budget: on large calls the plain one, which is there to be right; and
 * on software adapters those with barriers, which take up to a minute to compile there, and lose.
 */
function candidates({ gpu }: Executable, op: Op<unknown>, call: OpCall<unknown>, choice: string): string[] {
  const plain = op.flops(call) > FLOPS_IN_TESTS ? op.variants[0]!.name : undefined;
  return [...legalVariants(op, call, gpu.caps)]
    .filter(
      ([name, lowering]) =>
        name !== choice &&
        name !== plain &&
        !(gpu.caps.software && hasBarriers(lowering)) &&
        !skipReason(gpu, call, lowering),
    )
    .map(([name]) => name);
}

/**
 * The call as a case: the op's table's own where it has it. Else it is filled as the smallest case of as many operands is, where
 * that gives so many values, and is not `known`.
 */
function caseOf(
  { op, cases }: OpSuite<unknown>,
  { inputs, attrs }: OpCall<unknown>,
  text: string,
): { readonly one: AnyCase; readonly known: boolean } {
  const named = (one: Omit<OpCall<unknown>, 'outputs'>) => describeCall(op, { ...one, outputs: [] });
  const own = cases.find((one) => named(one) === named({ inputs, attrs }));
  if (own) return { one: own, known: true };
  const elements = (one: AnyCase) => one.inputs.reduce((sum, type) => sum + sizeOf(type), 0);
  const [like] = cases
    .filter((one) => one.inputs.length === inputs.length)
    .sort((a, b) => elements(a) - elements(b));
  const fill = (index: number, length: number) => {
    const values = like?.fill?.(index, length);
    return values?.length === length ? values : undefined;
  };
  return { one: { name: text, inputs, attrs, fill }, known: false };
}
