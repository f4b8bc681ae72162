/** Aligned text tables. */
import { type BenchRecord, type Ceilings, CHOSEN, OURS, type Row } from './record';

/** Columns as wide as their widest cell, two spaces apart; the first `left` of them aligned left, the rest right. */
export function formatTable(
  head: readonly string[],
  body: readonly (readonly string[])[],
  left: number,
): string {
  const widths = head.map((_, c) => Math.max(...[head, ...body].map((cells) => cells[c]!.length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, c) => (c < left ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!)))
      .join('  ')
      .trimEnd();
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}

/** Four significant digits at most, never an exponent: 0.01234, 12.34, 1234567. "-" for what is not known. */
export function formatNumber(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '-';
  const digits = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.min(6, Math.max(0, 3 - digits)));
}

export function formatShare(share: number | undefined): string {
  return share === undefined ? '-' : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}%`;
}

const HEAD = [
  'case',
  'variant',
  'dtype',
  'median ms',
  'p10',
  'p90',
  'runs',
  'GFLOP/s',
  'GB/s',
  'share',
  'MFLOP',
  'MB',
  'checked',
];

/** Columns that stand where a suite has them. */
const OPTIONAL: readonly (readonly [string, (row: Row) => number | undefined])[] = [
  ['CPU ms', ({ cpuMs }) => cpuMs],
  ['error', ({ relativeError }) => relativeError],
  ['images/s', ({ imagesPerS }) => imagesPerS],
  ['peak MB', ({ peakBytes }) => peakBytes && peakBytes / 1e6],
];

/** One suite's rows. The floor's columns are last: MFLOP that must be computed, MB that must move. */
export function formatRows(rows: readonly Row[]): string {
  const optional = OPTIONAL.filter(([, value]) => rows.some((row) => value(row) !== undefined));
  const engines = rows.some(({ engine }) => engine !== OURS);
  const body = rows.map((row) => [
    row.case,
    engines ? [row.engine, row.variant].filter((text) => text !== CHOSEN).join(', ') : row.variant,
    row.dtype,
    formatNumber(row.medianMs),
    formatNumber(row.p10Ms),
    formatNumber(row.p90Ms),
    String(row.runs),
    formatNumber(row.gflops || undefined),
    formatNumber(row.gbps || undefined),
    formatShare(row.share),
    formatNumber(row.floor.flops / 1e6 || undefined),
    formatNumber(row.floor.bytes / 1e6 || undefined),
    row.checked ?? '-',
    ...optional.map(([, value]) => formatNumber(value(row))),
  ]);
  const head = HEAD.map((name) => (engines && name === 'variant' ? 'engine' : name));
  return formatTable([...head, ...optional.map(([name]) => name)], body, 3);
}

/** What all records of ours say about themselves, from Node or from a browser. */
export type RecordHead = Pick<
  BenchRecord,
  'device' | 'date' | 'commit' | 'clock' | 'tuned' | 'othersCpuShare'
> & {
  readonly versions: Readonly<Record<string, unknown>>;
};

/** What every table stands under: whose numbers these are, and what they are good for. */
export function formatHeader({
  device,
  versions,
  date,
  commit,
  clock,
  tuned,
  othersCpuShare,
}: RecordHead): string {
  const software = Object.entries(versions).flatMap(([name, version]) => {
    if (typeof version !== 'string') return [];
    return name === OURS && commit ? `${name} ${version} at ${commit}` : `${name} ${version}`;
  });
  const lines = [
    `${device.name} (${device.source})`,
    [...software, date].join(', '),
    `features: ${device.features.join(', ') || 'none'}`,
    tuned?.rows
      ? `tuned: ${tuned.rows} calls, ${tuned.source} (MLA_LP_TUNED=off does without)`
      : "tuned: nothing; every kernel is the engine's own choice",
    clock === 'timestamp'
      ? 'Times are GPU timestamps, medians of interleaved repetitions.'
      : "Times are this process's wall clock minus an empty run, medians of interleaved repetitions.",
  ];
  if (othersCpuShare !== undefined)
    lines.push(`Other programs took ${formatShare(othersCpuShare)} of the CPUs' time meanwhile.`);
  if (device.software) {
    lines.push('A software adapter: it computes on the CPU. For tests only; says nothing about any GPU.');
  }
  return lines.join('\n');
}

/** The device's own limits, as lines. */
export function formatCeilings(ceilings: Ceilings): string {
  return [
    'Ceilings (fastest run), which "share" refers to; share = the floor\'s time at these rates / median:',
    `  f32 FMA     ${formatNumber(ceilings.f32Gflops)} GFLOP/s`,
    ...(ceilings.f16Gflops ? [`  f16 FMA     ${formatNumber(ceilings.f16Gflops)} GFLOP/s`] : []),
    ...(ceilings.matrixGflops ? [`  matrix      ${formatNumber(ceilings.matrixGflops)} GFLOP/s`] : []),
    `  copy        ${formatNumber(ceilings.copyGbps)} GB/s`,
    `  empty run   ${formatNumber(ceilings.emptyRunMs)} ms (submit, wait)`,
    ...(ceilings.dispatchUs === undefined
      ? []
      : [`  dispatch    ${formatNumber(ceilings.dispatchUs)} us within a pass`]),
    ...(ceilings.compileMs === undefined
      ? []
      : [
          `  compile     ${formatNumber(ceilings.compileMs)} ms a GEMM pipeline alone, ${formatNumber(ceilings.compileParallelMs)} ms each of several at once`,
        ]),
  ].join('\n');
}

/** Header, then per suite a table, then what was left out and why. */
export function formatRecord(record: BenchRecord): string {
  const parts = [formatHeader(record), formatCeilings(record.ceilings)];
  for (const suite of new Set(record.rows.map((row) => row.suite))) {
    parts.push(`${suite}\n${formatRows(record.rows.filter((row) => row.suite === suite))}`);
  }
  for (const image of record.rows.filter((row) => row.peakBytes !== undefined)) {
    parts.push(`${image.case}: at most ${formatNumber(image.peakBytes! / 1e6)} MB on the device.`);
  }
  for (const note of record.notes ?? []) parts.push(note);
  parts.push(...formatLeftOut(record));
  return parts.join('\n\n');
}

/** What got no time, and why. */
export function formatLeftOut({ skipped, failed }: Pick<BenchRecord, 'skipped' | 'failed'>): string[] {
  const list = (title: string, left: BenchRecord['skipped']) =>
    left.length === 0
      ? []
      : [
          `${title}\n${left.map((one) => `  ${one.suite}, ${one.case}, ${one.variant}: ${one.reason}`).join('\n')}`,
        ];
  return [...list('Not run:', skipped), ...list('WRONG RESULT OR ERROR, so no time:', failed)];
}
