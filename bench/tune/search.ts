/**
 * The search for a table: call by call, the variants that are right and not hopeless alone run in their graph, in turn with what
 * is used there so far; who is surely faster there stays. At last the whole graph with the table against the graph without it.
 */
import { DeviceLostError, MlaLpError } from '../../src/runtime/errors';
import type { TunedTable } from '../../src/runtime/tuned';
import type { Contender } from '../measure';
import { duel, type Judgement } from './duel';

/** A kind of call in a graph: all nodes that would run the same kernels. */
export interface TunableCall {
  /** `tuningKey`. */
  readonly key: string;
  /** For people. */
  readonly text: string;
  /** What is used untuned. */
  readonly choice: string;
  /** Every other variant that applies. */
  readonly others: readonly string[];
  /** Of the graph's time, 0..1. */
  readonly share: number;
}

/** The whole graph with a table, compiled. */
export interface BuiltGraph extends Contender {
  /** One run's time of the calls of a kind within the graph, ms, where the device tells it. */
  readonly sampleCalls?: (key: string) => Promise<number>;
  destroy(): void;
}

/** What the search asks of a device, or of a test. */
export interface Workshop {
  /** Where it is measured, for people. */
  readonly name: string;
  /** What takes most time comes first. */
  readonly calls: readonly TunableCall[];
  /** What is wrong with a variant's results, or its time alone, ms. `patience`: beyond this many ms it is hopeless. */
  tryAlone(
    call: TunableCall,
    variant: string,
    patience: number,
  ): Promise<{ readonly wrong: string } | { readonly ms: number }>;
  /** The whole graph with a table. @throws MlaLpError when it cannot run, or its results are wrong. */
  build(table: TunedTable): Promise<BuiltGraph>;
}

export interface SearchOptions {
  /** Used so far: what ships. */
  readonly base: TunedTable;
  readonly budgetMs: number;
  /** Least gain that counts, as a share of the time of the call. */
  readonly margin: number;
  readonly signal?: AbortSignal | undefined;
  readonly now?: () => number;
  readonly onCall?: (call: TunableCall, index: number) => void;
  /** A line for people. */
  readonly report?: (line: string) => void;
}

export interface Win {
  readonly call: TunableCall;
  readonly variant: string;
  readonly judgement: Judgement;
}

export interface SearchResult {
  /** Empty unless the whole graph is surely faster with all of them. */
  readonly wins: readonly Win[];
  /** Calls that were looked at to the end. */
  readonly settled: readonly TunableCall[];
  /** The whole graph, with over without; none when no variant won. */
  readonly whole?: Judgement;
}

/** Alone, a variant may be so much slower than the choice and still be tried in the graph. */
const HOPE = 1.25;
/** Variants of a call that are tried in the graph. */
const KEPT = 3;
/** Of the budget, kept for the last comparison. */
const LAST = 0.25;
/** Turns of the last comparison whatever the budget: fewer could not tell anything. */
const LEAST_LAST_TURNS = 10;
/** Of the graph's time: a smaller gain drowns in every noise. */
const LEAST_GAIN = 0.002;

export async function search(workshop: Workshop, options: SearchOptions): Promise<SearchResult> {
  const { base, budgetMs, signal, now = () => performance.now(), onCall, report = () => {} } = options;
  const deadline = now() + budgetMs * (1 - LAST);
  const end = now() + budgetMs;
  const wins: Win[] = [];
  const settled: TunableCall[] = [];
  const table = new Map(base);
  const untuned = await workshop.build(base);
  let best = untuned;
  try {
    for (const [i, call] of workshop.calls.entries()) {
      if (signal?.aborted || now() >= deadline) break;
      onCall?.(call, i);
      report(`${call.text}: ${(100 * call.share).toFixed(1)} % of the graph's time`);
      const rest = workshop.calls.slice(i).reduce((sum, { share }) => sum + share, 0);
      const part = rest > 0 ? call.share / rest : 1;
      const found = await bestOf(workshop, call, { ...options, table, best, deadline, part, now, report });
      if (found === 'unsettled') continue;
      settled.push(call);
      if (!found) continue;
      wins.push(found.win);
      table.set(call.key, found.win.variant);
      if (best !== untuned) best.destroy();
      best = found.contender;
    }
    if (wins.length === 0) return { wins, settled };
    const [whole] = await duel(untuned, [best], {
      margin: 0,
      deadline: end,
      leastTurns: LEAST_LAST_TURNS,
      now,
    });
    return { wins: whole!.verdict === 'better' ? wins : [], settled, whole: whole! };
  } finally {
    if (best !== untuned) best.destroy();
    untuned.destroy();
  }
}

interface Stage extends SearchOptions {
  readonly table: TunedTable;
  /** The graph with the table. */
  readonly best: BuiltGraph;
  readonly deadline: number;
  /** Of the time until then, for this call. */
  readonly part: number;
  readonly now: () => number;
  readonly report: (line: string) => void;
}

/** The variant that beats what is used so far, and the graph with it; undefined when none does. */
async function bestOf(
  workshop: Workshop,
  call: TunableCall,
  stage: Stage,
): Promise<{ win: Win; contender: BuiltGraph } | 'unsettled' | undefined> {
  const { table, best, margin, deadline, part, signal, now, report } = stage;
  const candidates = await worthTrying(workshop, call, stage);
  if (!candidates) return 'unsettled';
  const rivals: { variant: string; contender: BuiltGraph }[] = [];
  try {
    for (const variant of candidates) {
      if (signal?.aborted) return 'unsettled';
      try {
        rivals.push({ variant, contender: await workshop.build(new Map([...table, [call.key, variant]])) });
      } catch (error) {
        report(`  ${variant} is left out: ${reasonOf(error)}`);
      }
    }
    const alone = (graph: BuiltGraph): Contender => ({
      sample: () => graph.sampleCalls?.(call.key) ?? graph.sample(),
    });
    const judgements = await duel(
      alone(best),
      rivals.map(({ contender }) => alone(contender)),
      {
        // The gain is to be a share of the call's own time, of which the graph's holds a part.
        margin: best.sampleCalls ? margin : Math.max(LEAST_GAIN, margin * call.share),
        deadline: now() + part * (deadline - now()),
        signal,
        now,
      },
    );
    rivals.forEach(({ variant }, i) => {
      const what = best.sampleCalls ? 'its time in the graph' : "the graph's time";
      report(`  ${describe(variant, call.choice, judgements[i]!, what)}`);
    });
    const better = rivals
      .map((rival, i) => ({ ...rival, judgement: judgements[i]! }))
      .filter(({ judgement }) => judgement.verdict === 'better')
      .sort((a, b) => a.judgement.ratio - b.judgement.ratio);
    const winner = better[0];
    if (!winner) return judgements.some(({ verdict }) => verdict === 'undecided') ? 'unsettled' : undefined;
    rivals.splice(
      rivals.findIndex(({ variant }) => variant === winner.variant),
      1,
    );
    const { variant, judgement, contender } = winner;
    return { win: { call, variant, judgement }, contender };
  } finally {
    for (const { contender } of rivals) contender.destroy();
  }
}

/** Variants that compute what they should, and alone are not much slower than the choice; the fastest first. Undefined: no time. */
async function worthTrying(
  workshop: Workshop,
  call: TunableCall,
  { deadline, signal, now, report }: Stage,
): Promise<string[] | undefined> {
  const choice = await workshop.tryAlone(call, call.choice, Number.POSITIVE_INFINITY);
  // A choice that is wrong is a bug, but no reason to replace it by what happens to agree with the reference.
  if ('wrong' in choice) {
    report(`  it stays as it is: ${call.choice} itself is wrong: ${choice.wrong}`);
    return [];
  }
  const times = [{ variant: call.choice, ms: choice.ms }];
  for (const variant of call.others) {
    if (signal?.aborted || now() >= deadline) return undefined;
    const tried = await workshop.tryAlone(call, variant, HOPE * choice.ms);
    if ('wrong' in tried) report(`  ${variant} is left out: ${tried.wrong}`);
    else times.push({ variant, ms: tried.ms });
  }
  times.sort((a, b) => a.ms - b.ms);
  const list = times.map(({ variant, ms }) => `${variant} ${ms.toPrecision(3)} ms`).join(', ');
  report(`  alone: ${list}`);
  return times
    .filter(({ variant, ms }) => variant !== call.choice && ms <= HOPE * choice.ms)
    .slice(0, KEPT)
    .map(({ variant }) => variant);
}

/** "tiled instead of registers takes 0.91 (0.89 to 0.93) of the time; 12 turns" */
export function describe(
  variant: string,
  choice: string,
  { ratio, interval, turns }: Judgement,
  what: string,
): string {
  if (turns === 0) return `${variant} instead of ${choice}: no time was left`;
  const range = interval ? ` (${interval.map((end) => end.toFixed(3)).join(' to ')})` : '';
  return `${variant} instead of ${choice} takes ${ratio.toFixed(3)}${range} of ${what}, ${turns} turns`;
}

function reasonOf(error: unknown): string {
  if (error instanceof DeviceLostError || !(error instanceof MlaLpError)) throw error;
  return error.message;
}
