/** What got faster or slower from one record to another. */
import type { ReadRecord, ReadRow } from './read-record';
import { formatNumber, formatTable } from './table';

/** `same`: within the noise of both. */
export type Verdict = 'faster' | 'slower' | 'same';

export interface RowName {
  readonly suite: string;
  readonly case: string;
  readonly variant: string;
  readonly engine: string;
  readonly dtype: string;
}

export interface Change extends RowName {
  readonly beforeMs: number;
  readonly afterMs: number;
  /** after / before: under 1 is faster. */
  readonly ratio: number;
  /** The same of CPU time, where both have it. */
  readonly cpuRatio?: number;
  readonly verdict: Verdict;
}

export interface Comparison {
  /** Whole sentences: why the two may not be comparable. */
  readonly warnings: readonly string[];
  readonly changes: readonly Change[];
  readonly onlyBefore: readonly (RowName & { readonly reason?: string })[];
  readonly onlyAfter: readonly RowName[];
}

/** Changes below this are no news, however steady the timings. */
const LEAST_CHANGE = 1.02;
/** Ceilings that differ by more than this: another device, or a busy machine. */
const LEAST_CEILING_CHANGE = 1.1;

/**
 * Where most runs lie: between the outer deciles; with too few runs to have them, an assumed half-width of 50 % over the root of
 * their number about the median.
 */
export function noiseOf({ medianMs, p10Ms, p90Ms, runs = 1 }: ReadRow): readonly [number, number] {
  if (p10Ms !== undefined && p90Ms !== undefined) return [p10Ms, p90Ms];
  const width = 1 + 0.5 / Math.sqrt(Math.max(1, runs));
  return [medianMs / width, medianMs * width];
}

/** Faster or slower only where the two ranges of noise do not overlap. */
export function judge(before: ReadRow, after: ReadRow): Verdict {
  const [[beforeLow, beforeHigh], [afterLow, afterHigh]] = [noiseOf(before), noiseOf(after)];
  const ratio = after.medianMs / before.medianMs;
  if (ratio > LEAST_CHANGE && afterLow > beforeHigh) return 'slower';
  if (ratio < 1 / LEAST_CHANGE && afterHigh < beforeLow) return 'faster';
  return 'same';
}

export function compareRecords(before: ReadRecord, after: ReadRecord): Comparison {
  const [old, fresh] = [byName(before), byName(after)];
  const warnings = [
    ...differences(before, after),
    ...repeated('first', before, old),
    ...repeated('second', after, fresh),
  ];
  const changes: Change[] = [];
  const onlyBefore: Comparison['onlyBefore'][number][] = [];
  for (const [key, a] of old) {
    const b = fresh.get(key);
    if (!b) {
      const failed = after.failed.find((one) => one.suite === a.suite && one.case.startsWith(a.case));
      onlyBefore.push({ ...nameOf(a), ...(failed && { reason: failed.reason }) });
      continue;
    }
    changes.push({
      ...nameOf(a),
      beforeMs: a.medianMs,
      afterMs: b.medianMs,
      ratio: b.medianMs / a.medianMs,
      ...(a.cpuMs && b.cpuMs && { cpuRatio: b.cpuMs / a.cpuMs }),
      verdict: judge(a, b),
    });
  }
  const onlyAfter = [...fresh].filter(([key]) => !old.has(key)).map(([, row]) => nameOf(row));
  return { warnings, changes, onlyBefore, onlyAfter };
}

/** Changes that are slower beyond noise and by more than `factor`. */
export function regressions({ changes }: Comparison, factor: number): readonly Change[] {
  return changes.filter(({ verdict, ratio }) => verdict === 'slower' && ratio > factor);
}

export function formatComparison({ warnings, changes, onlyBefore, onlyAfter }: Comparison): string {
  const parts: string[] = warnings.map((warning) => `Warning: ${warning}`);
  if (changes.length > 0) {
    const body = changes.map((one) => [
      one.suite,
      one.case,
      one.variant,
      one.engine,
      one.dtype,
      formatNumber(one.beforeMs),
      formatNumber(one.afterMs),
      formatNumber(one.ratio),
      formatNumber(one.cpuRatio),
      one.verdict === 'same' ? '' : one.verdict,
    ]);
    const head = ['suite', 'case', 'variant', 'engine', 'dtype', 'before ms', 'after ms', 'ratio', 'CPU', ''];
    parts.push(formatTable(head, body, 5));
  }
  const count = (verdict: Verdict) => changes.filter((one) => one.verdict === verdict).length;
  parts.push(
    `${count('faster')} faster, ${count('slower')} slower, ${count('same')} within noise; ratio = after / before.`,
  );
  const list = (title: string, names: readonly (RowName & { reason?: string })[]) => {
    if (names.length === 0) return;
    const lines = names.map((one) => {
      const { suite, engine, variant, dtype, reason } = one;
      return `  ${[suite, one.case, variant, engine, dtype].filter(Boolean).join(', ')}${reason ? `: ${reason}` : ''}`;
    });
    parts.push(`${title}\n${lines.join('\n')}`);
  };
  list('Only in the first:', onlyBefore);
  list('Only in the second:', onlyAfter);
  return parts.join('\n\n');
}

function nameOf({ suite, case: name, variant = '', engine, dtype }: ReadRow): RowName {
  return { suite, case: name, variant, engine, dtype };
}

/** The last row of a name stands. */
function byName({ rows }: ReadRecord): Map<string, ReadRow> {
  return new Map(rows.map((row) => [Object.values(nameOf(row)).join('\n'), row]));
}

function repeated(which: string, { rows }: ReadRecord, names: ReadonlyMap<string, ReadRow>): string[] {
  const extra = rows.length - names.size;
  return extra > 0 ? [`${extra} rows of the ${which} record repeat others; the last of each counts.`] : [];
}

function differences(before: ReadRecord, after: ReadRecord): string[] {
  const warnings: string[] = [];
  const differ = (what: string, a: string | undefined, b: string | undefined) => {
    if (a !== b) warnings.push(`${what}: ${a ?? 'not told'} before, ${b ?? 'not told'} after.`);
  };
  differ('the device differs', before.device.name, after.device.name);
  // Most drivers put their version here; the name may be made of it.
  if (before.device.description !== before.device.name || after.device.description !== after.device.name)
    differ('the driver differs', before.device.description, after.device.description);
  differ('times are of different clocks', before.clock, after.clock);
  for (const name of new Set([...Object.keys(before.versions), ...Object.keys(after.versions)]))
    differ(`the version of ${name} differs`, before.versions[name], after.versions[name]);
  const dtypes = ({ rows }: ReadRecord) => [...new Set(rows.map(({ dtype }) => dtype))].sort().join(', ');
  differ('the storage types differ', dtypes(before), dtypes(after));
  for (const [name, unit] of [
    ['f32Gflops', 'GFLOP/s'],
    ['copyGbps', 'GB/s'],
  ] as const) {
    const [a, b] = [before.ceilings[name], after.ceilings[name]];
    if (a && b && Math.max(a / b, b / a) > LEAST_CEILING_CHANGE)
      warnings.push(
        `the device itself was ${formatNumber(b / a)} times as fast (${name} ${formatNumber(a)} and ${formatNumber(b)} ${unit}): other clocks, or a busy machine.`,
      );
  }
  return warnings;
}
