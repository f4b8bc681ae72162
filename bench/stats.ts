/** Order statistics of repeated timings. */

/** The q-quantile (0..1), linear between neighbours. NaN of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const place = q * (sorted.length - 1);
  const low = sorted[Math.floor(place)]!;
  const high = sorted[Math.ceil(place)]!;
  return low + (high - low) * (place - Math.floor(place));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export interface Summary {
  readonly medianMs: number;
  readonly p10Ms?: number;
  readonly p90Ms?: number;
  readonly runs: number;
}

/** Below this many runs the outer deciles would be made up. */
const RUNS_FOR_DECILES = 5;

export function summarise(ms: readonly number[]): Summary {
  const deciles = ms.length >= RUNS_FOR_DECILES && { p10Ms: quantile(ms, 0.1), p90Ms: quantile(ms, 0.9) };
  return { medianMs: median(ms), ...deciles, runs: ms.length };
}
