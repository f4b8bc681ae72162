/** Repeats measurements in turns, so that load on the machine falls on all of them alike. */

/** CPU time of this process, ms. @param since an earlier `process.cpuUsage()`; all of it without. */
export function cpuMs(since?: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}

/** One thing to time: an engine's way to compute a case. */
export interface Contender {
  /** One repetition, ms. NaN: it can run no more. */
  sample(): Promise<number>;
}

export interface MeasureOptions {
  /** Time to spend on each contender, ms. */
  readonly budgetMs: number;
  /** Repetitions taken whatever the budget. */
  readonly minRuns?: number;
  readonly maxRuns?: number;
  /** Called when a contender has had its budget. */
  readonly onDone?: () => void;
  readonly now?: () => number;
}

/**
 * Round after round one repetition of each contender, until each has had its budget.
 * @returns per contender its repetitions, ms; none of one that broke down.
 */
export async function interleave(
  contenders: readonly Contender[],
  { budgetMs, minRuns = 3, maxRuns = 200, onDone, now = () => performance.now() }: MeasureOptions,
): Promise<number[][]> {
  const state = contenders.map((contender) => ({ contender, spent: 0, broken: false, ms: [] as number[] }));
  for (let waiting = state; waiting.length > 0; ) {
    for (const one of waiting) {
      const start = now();
      const ms = await one.contender.sample();
      if (Number.isNaN(ms)) one.broken = true;
      else one.ms.push(ms);
      one.spent += now() - start;
    }
    const left = waiting.filter(
      ({ ms, spent, broken }) =>
        !broken && (ms.length < minRuns || (spent < budgetMs && ms.length < maxRuns)),
    );
    for (let done = waiting.length - left.length; done > 0; done--) onDone?.();
    waiting = left;
  }
  return state.map(({ ms, broken }) => (broken ? [] : ms));
}
