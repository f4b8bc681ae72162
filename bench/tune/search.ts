/**
 * The search for a table: variants that are right, and not hopeless alone, run in their graph, in turn with what is used there; who is
 * surely faster there stays. At last the whole graph with the table against the graph without it.
 */
import { DeviceLostError, MlaLpError } from '../../src/runtime/errors';
import type { TunedTable } from '../../src/runtime/tuned';
import type { Contender } from '../measure';
import { duel, duels, type Judgement } from './duel';

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
  /** One run's time of each kind of call within the graph, ms by key, where the device tells it. */
  readonly sampleCalls?: () => Promise<ReadonlyMap<string, number>>;
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
/** Of the budget: until then variants are tried alone, until then in the graph; the rest is for the last comparison. */
const PHASES = { alone: 0.5, graph: 0.75 } as const;
/** Turns of the last comparison whatever the budget: fewer could not tell anything. */
const LEAST_LAST_TURNS = 10;
/** And at most: a gain that more would show is hardly worth a table. */
const MOST_LAST_TURNS = 24;
/** Of the graph's time: a smaller gain drowns in every noise. */
const LEAST_GAIN = 0.002;

export async function search(workshop: Workshop, options: SearchOptions): Promise<SearchResult> {
  const { base, budgetMs, now = () => performance.now(), report = () => {} } = options;
  const start = now();
  const stage: Stage = { ...options, now, report, deadline: start + budgetMs * PHASES.graph };
  const candidates = await allWorthTrying(workshop, {
    ...stage,
    deadline: start + budgetMs * PHASES.alone,
  });
  const untuned = await workshop.build(base);
  try {
    const { wins, settled } = untuned.sampleCalls
      ? await atOnce(workshop, candidates, untuned, stage)
      : await oneByOne(workshop, candidates, untuned, stage);
    if (wins.length === 0) return { wins, settled };
    const tuned = await workshop.build(withWins(base, wins));
    try {
      // Ctrl-C is time being up: the table is compared all the same.
      const clock = () => (options.signal?.aborted ? Number.POSITIVE_INFINITY : now());
      const last = { margin: 0, deadline: start + budgetMs, once: true, now: clock };
      const turns = { leastTurns: LEAST_LAST_TURNS, mostTurns: MOST_LAST_TURNS };
      const [whole] = await duel(untuned, [tuned], { ...last, ...turns });
      return { wins: whole!.verdict === 'better' ? wins : [], settled, whole: whole! };
    } finally {
      tuned.destroy();
    }
  } finally {
    untuned.destroy();
  }
}

interface Stage extends SearchOptions {
  readonly deadline: number;
  readonly now: () => number;
  readonly report: (line: string) => void;
}

/** Variants of each call that was looked at, the fastest alone first. */
type Candidates = ReadonlyMap<TunableCall, readonly string[]>;

function withWins(base: TunedTable, wins: readonly Win[]): TunedTable {
  return new Map([...base, ...wins.map(({ call, variant }) => [call.key, variant] as const)]);
}

/**
 * By the device's own clock, which times each call within the graph: one graph has the best candidate of every call, another the second
 * best, and so on; they take turns with the graph as it is.
 */
async function atOnce(
  workshop: Workshop,
  candidates: Candidates,
  untuned: BuiltGraph,
  { base, margin, deadline, signal, now, report }: Stage,
): Promise<Omit<SearchResult, 'whole'>> {
  const settled: TunableCall[] = [...candidates].flatMap(([call, variants]) =>
    variants.length === 0 ? [call] : [],
  );
  const rivals: { readonly graph: BuiltGraph; readonly calls: Map<TunableCall, string> }[] = [];
  try {
    for (let place = 0; place < KEPT && !signal?.aborted; place++) {
      const calls = new Map<TunableCall, string>();
      for (const [call, { [place]: variant }] of candidates) if (variant) calls.set(call, variant);
      if (calls.size === 0) break;
      const graph = await buildWithout(workshop, base, calls, report);
      if (graph) rivals.push({ graph, calls });
    }
    const measured = (graph: BuiltGraph) => ({ sample: () => graph.sampleCalls!() });
    const judgements = await duels(
      measured(untuned),
      rivals.map(({ graph }) => measured(graph)),
      rivals.map(({ calls }) => [...calls.keys()].map(({ key }) => key)),
      { margin, deadline, signal, now },
    );
    const wins: Win[] = [];
    for (const call of candidates.keys()) {
      const tried = rivals.flatMap(({ calls }, i) => {
        const variant = calls.get(call);
        return variant ? [{ call, variant, judgement: judgements[i]!.get(call.key)! }] : [];
      });
      if (tried.length === 0) continue;
      report(headOf(call));
      for (const { variant, judgement } of tried)
        report(`  ${describe(variant, call.choice, judgement, 'its time in the graph')}`);
      const verdict = winnerOf(tried);
      if (verdict !== 'unsettled') settled.push(call);
      if (verdict !== 'unsettled' && verdict) wins.push(verdict);
    }
    return { wins, settled };
  } finally {
    for (const { graph } of rivals) graph.destroy();
  }
}

/** A graph with these variants; a variant with which it cannot run is taken out of `calls`. */
async function buildWithout(
  workshop: Workshop,
  base: TunedTable,
  calls: Map<TunableCall, string>,
  report: (line: string) => void,
): Promise<BuiltGraph | undefined> {
  const tableOf = (these: Iterable<readonly [TunableCall, string]>) =>
    new Map([...base, ...[...these].map(([{ key }, variant]) => [key, variant] as const)]);
  const build = (these: Iterable<readonly [TunableCall, string]>) =>
    workshop.build(tableOf(these)).catch((error: unknown) => ({ reason: reasonOf(error) }));
  const all = await build(calls);
  if (!('reason' in all)) return all;
  // Which one is it? Each for itself then.
  for (const [call, variant] of [...calls]) {
    const one = await build([[call, variant]]);
    if (!('reason' in one)) {
      one.destroy();
      continue;
    }
    report(`${call.text}: ${variant} is left out: ${one.reason}`);
    calls.delete(call);
  }
  if (calls.size === 0) return undefined;
  const rest = await build(calls);
  if (!('reason' in rest)) return rest;
  report(`Not together: ${rest.reason}`);
  calls.clear();
  return undefined;
}

/** By a clock that times whole runs only: call after call, each winner stays in the graph. */
async function oneByOne(
  workshop: Workshop,
  candidates: Candidates,
  untuned: BuiltGraph,
  stage: Stage,
): Promise<Omit<SearchResult, 'whole'>> {
  const { base, deadline, signal, now } = stage;
  const wins: Win[] = [];
  const settled: TunableCall[] = [];
  let best = untuned;
  try {
    const calls = [...candidates];
    for (const [i, [call, variants]] of calls.entries()) {
      if (signal?.aborted || now() >= deadline) break;
      const rest = calls.slice(i).reduce((sum, [{ share }]) => sum + share, 0);
      const part = rest > 0 ? call.share / rest : 1;
      const until = now() + part * (deadline - now());
      const table = withWins(base, wins);
      const found = await bestOf(workshop, call, variants, best, table, { ...stage, deadline: until });
      if (found === 'unsettled') continue;
      settled.push(call);
      if (!found) continue;
      wins.push(found.win);
      if (best !== untuned) best.destroy();
      best = found.graph;
    }
    return { wins, settled };
  } finally {
    if (best !== untuned) best.destroy();
  }
}

/** The variant that beats what is used so far, and the graph with it; undefined when none does. */
async function bestOf(
  workshop: Workshop,
  call: TunableCall,
  variants: readonly string[],
  best: BuiltGraph,
  table: TunedTable,
  { margin, deadline, signal, now, report }: Stage,
): Promise<{ win: Win; graph: BuiltGraph } | 'unsettled' | undefined> {
  const rivals: { variant: string; graph: BuiltGraph }[] = [];
  if (variants.length > 0) report(headOf(call));
  try {
    for (const variant of variants) {
      if (signal?.aborted) return 'unsettled';
      try {
        rivals.push({ variant, graph: await workshop.build(new Map([...table, [call.key, variant]])) });
      } catch (error) {
        report(`  ${variant} is left out: ${reasonOf(error)}`);
      }
    }
    const judgements = await duel(
      best,
      rivals.map(({ graph }) => graph),
      // The gain is to be a share of the call's own time, of which the graph's holds a part.
      { margin: Math.max(LEAST_GAIN, margin * call.share), deadline, signal, now },
    );
    const tried = rivals.map(({ variant }, i) => ({ call, variant, judgement: judgements[i]! }));
    for (const { variant, judgement } of tried)
      report(`  ${describe(variant, call.choice, judgement, "the graph's time")}`);
    const win = winnerOf(tried);
    if (!win || win === 'unsettled') return win;
    const place = rivals.findIndex(({ variant }) => variant === win.variant);
    const { graph } = rivals.splice(place, 1)[0]!;
    return { win, graph };
  } finally {
    for (const { graph } of rivals) graph.destroy();
  }
}

/** The fastest of those that are surely faster. */
function winnerOf(tried: readonly Win[]): Win | 'unsettled' | undefined {
  const [winner] = tried
    .filter(({ judgement }) => judgement.verdict === 'better')
    .sort((a, b) => a.judgement.ratio - b.judgement.ratio);
  return (
    winner ?? (tried.some(({ judgement }) => judgement.verdict === 'undecided') ? 'unsettled' : undefined)
  );
}

async function allWorthTrying(workshop: Workshop, stage: Stage): Promise<Candidates> {
  const { deadline, signal, now, onCall } = stage;
  const candidates = new Map<TunableCall, readonly string[]>();
  for (const [i, call] of workshop.calls.entries()) {
    if (signal?.aborted || now() >= deadline) break;
    onCall?.(call, i);
    const variants = await worthTrying(workshop, call, stage);
    if (variants) candidates.set(call, variants);
  }
  return candidates;
}

/** Variants that compute what they should, and alone are not much slower than the choice; the fastest first. Undefined: no time. */
async function worthTrying(
  workshop: Workshop,
  call: TunableCall,
  { deadline, signal, now, report }: Stage,
): Promise<string[] | undefined> {
  report(headOf(call));
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
  report(`  alone: ${times.map(({ variant, ms }) => `${variant} ${ms.toPrecision(3)} ms`).join(', ')}`);
  return times
    .filter(({ variant, ms }) => variant !== call.choice && ms <= HOPE * choice.ms)
    .slice(0, KEPT)
    .map(({ variant }) => variant);
}

const headOf = ({ text, share }: TunableCall) => `${text}: ${(100 * share).toFixed(1)} % of the graph's time`;

/** "tiled instead of registers takes 0.910 (0.890 to 0.930) of the graph's time, 12 turns" */
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
