/** Learning-rate schedules. */

export type ScheduleName = 'constant' | 'cosine';

export interface Schedule {
  readonly name: ScheduleName;
  /** Steps over which the rate grows linearly from its first share, 1 / warmup; 0 for none. */
  readonly warmup: number;
  /** Steps in all; `cosine` ends there. */
  readonly total: number;
}

/**
 * Factor on the learning rate of a step, from 0: (step + 1) / warmup while warming up, then 1, or
 * (1 + cos(pi t)) / 2 with t the share of the remaining steps that are done (Loshchilov & Hutter 2017, eq. 5, no restart).
 */
export function rateFactor({ name, warmup, total }: Schedule, step: number): number {
  if (step < warmup) return (step + 1) / warmup;
  if (name === 'constant') return 1;
  const done = (step - warmup) / Math.max(1, total - warmup);
  return (1 + Math.cos(Math.PI * Math.min(1, done))) / 2;
}
