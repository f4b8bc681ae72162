/** How many times as long the other engines take. */
import type { Row } from '../record';
import { formatNumber, formatTable } from '../table';

export interface Ratio {
  readonly case: string;
  readonly dtype: Row['dtype'];
  /** The fastest other engine. */
  readonly bestPeer: string;
  /** Its median time over ours: over 1, we are faster. */
  readonly ratio: number;
  /** The same of CPU time; the best peer may be another one then. */
  readonly cpuRatio?: number;
}

type TimedRow = Pick<Row, 'engine' | 'case' | 'dtype' | 'medianMs' | 'cpuMs'>;

/** One for each case and type that we and another engine have times for. */
export function ratiosOf(rows: readonly TimedRow[], ours: string): Ratio[] {
  return rows
    .filter(({ engine }) => engine === ours)
    .flatMap((own) => {
      const others = rows.filter(
        (row) => row.engine !== ours && row.case === own.case && row.dtype === own.dtype,
      );
      if (others.length === 0) return [];
      const best = others.reduce((a, b) => (b.medianMs < a.medianMs ? b : a));
      const cpu = Math.min(...others.map(({ cpuMs }) => cpuMs ?? Number.NaN));
      return [
        {
          case: own.case,
          dtype: own.dtype,
          bestPeer: best.engine,
          ratio: best.medianMs / own.medianMs,
          ...(own.cpuMs && cpu && { cpuRatio: cpu / own.cpuMs }),
        },
      ];
    });
}

export function formatRatios(ratios: readonly Ratio[]): string {
  const body = ratios.map((one) => [
    one.case,
    one.dtype,
    one.bestPeer,
    formatNumber(one.ratio),
    formatNumber(one.cpuRatio),
  ]);
  return [
    'Best peer / mla-lp (over 1: mla-lp is faster)',
    formatTable(['case', 'dtype', 'best peer', 'time', 'CPU time'], body, 3),
  ].join('\n');
}
