/** Which of several ways is faster, told from runs in turns: ratios within a turn, and a distribution-free interval of their median. */
import type { Contender } from '../measure';
import { median } from '../stats';

/** Of the median of `values`, or undefined where they are too few: order statistics, so that no distribution is assumed. */
export function medianInterval(
  values: readonly number[],
  confidence: number,
): readonly [low: number, high: number] | undefined {
  const n = values.length;
  const sorted = [...values].sort((a, b) => a - b);
  // The k-th lowest and k-th highest enclose the median but with 2 P(Binomial(n, 1/2) < k).
  let outside = 2 * 0.5 ** n;
  let term = outside;
  let k = 0;
  while (outside <= 1 - confidence && 2 * (k + 1) <= n) {
    k++;
    term *= (n - k + 1) / k;
    outside += term;
  }
  return k === 0 ? undefined : [sorted[k - 1]!, sorted[n - k]!];
}

export interface Judgement {
  /** `better`: by the margin at least, and surely better at all. `no`: surely not by the margin. */
  readonly verdict: 'better' | 'no' | 'undecided';
  /** Median of time over the base's time in the same turn. */
  readonly ratio: number;
  readonly interval?: readonly [low: number, high: number];
  readonly turns: number;
}

/**
 * Of an interval. Ratios are judged after every turn unless a duel is judged `once`, so that chance has several tries: of two that are
 * equally fast about two in a hundred pass for better (simulated). The last duel, of whole graphs, is judged once.
 */
const CONFIDENCE = 0.99;
/** From so many turns on, a contender that lost all of them is let go. */
const LOST = 4;

/** @param margin least gain that counts, as a share: 0.03 asks for a ratio of at most 0.97. */
export function judge(ratios: readonly number[], margin: number): Judgement {
  const ratio = median(ratios);
  const interval = medianInterval(ratios, CONFIDENCE);
  const lost = hasLost(ratios);
  const better = interval !== undefined && interval[1] < 1 && ratio <= 1 - margin;
  const no = lost || (interval !== undefined && interval[0] > 1 - margin);
  return {
    verdict: better ? 'better' : no ? 'no' : 'undecided',
    ratio,
    ...(interval && { interval }),
    turns: ratios.length,
  };
}

function hasLost(ratios: readonly number[]): boolean {
  return ratios.length >= LOST && ratios.every((each) => each >= 1);
}

export interface DuelOptions {
  readonly margin: number;
  /** Turns stop at this time, ms of `now`, once `leastTurns` are done. */
  readonly deadline: number;
  readonly leastTurns?: number;
  readonly mostTurns?: number;
  /** Who wins is asked at the end only: a run is longer, and its interval holds what it says. Who loses every turn is let go as ever. */
  readonly once?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly now?: () => number;
}

/** Several things that one run times at once. */
export interface Measurer {
  /** Name -> ms. */
  sample(): Promise<ReadonlyMap<string, number>>;
}

/**
 * Turn after turn one run of the base and of each rival, until every rival is judged in all that is asked of it, or time is up.
 * @param asked names, for each rival. @returns for each rival the judgements by name.
 */
export async function duels(
  base: Measurer,
  rivals: readonly Measurer[],
  asked: readonly (readonly string[])[],
  options: DuelOptions,
): Promise<Map<string, Judgement>[]> {
  const { margin, deadline, leastTurns = 0, mostTurns = 60, once = false, signal } = options;
  const { now = () => performance.now() } = options;
  const ratios = asked.map((names) => new Map(names.map((name): [string, number[]] => [name, []])));
  const isOpen = (each: readonly number[]) =>
    once ? !hasLost(each) : judge(each, margin).verdict === 'undecided';
  for (let turn = 0; turn < mostTurns; turn++) {
    if (signal?.aborted || (turn >= leastTurns && now() >= deadline)) break;
    const open = rivals.flatMap((_, i) => ([...ratios[i]!.values()].some(isOpen) ? [i] : []));
    if (open.length === 0) break;
    // Forwards and backwards in turn: who runs first finds other caches and clocks.
    const order = turn % 2 === 0 ? [-1, ...open] : [...open.reverse(), -1];
    const times = new Map<number, ReadonlyMap<string, number>>();
    for (const i of order) times.set(i, await (i < 0 ? base : rivals[i]!).sample());
    for (const i of open) {
      // What is judged stays judged: looking on until chance turns would make the interval a lie.
      for (const [name, each] of ratios[i]!)
        if (isOpen(each)) each.push(times.get(i)!.get(name)! / times.get(-1)!.get(name)!);
    }
  }
  return ratios.map((names) => new Map([...names].map(([name, each]) => [name, judge(each, margin)])));
}

/** The same for things that a run times as a whole. */
export async function duel(
  base: Contender,
  rivals: readonly Contender[],
  options: DuelOptions,
): Promise<Judgement[]> {
  const whole = (one: Contender): Measurer => ({ sample: async () => new Map([['', await one.sample()]]) });
  const judged = await duels(
    whole(base),
    rivals.map(whole),
    rivals.map(() => ['']),
    options,
  );
  return judged.map((names) => names.get('')!);
}
