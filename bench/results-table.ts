/** The table of the README, from the records of named devices. */
import { goalsOf, USUAL_CHOICE } from './goals';
import type { ReadRecord, ReadRow } from './read-record';
import { CHOSEN, type LeftOut, OURS } from './record';
import { formatNumber, formatShare } from './table';

export const BEGIN = '<!-- bench:table, written by npm run bench -- table -->';
export const END = '<!-- bench:table end -->';

/** What stands as the case of what is left out for its storage type. */
const ALL_IN = 'all in ';

/** Rows that a reader of the README wants: what stands beside other engines, and whole images and steps. */
function wanted({ suite, variant }: ReadRow): boolean {
  return (
    suite === 'peers' ||
    suite === 'block' ||
    (suite === 'image' && (variant === 'steady' || variant?.startsWith('first result') === true)) ||
    (suite === 'train' && variant === 'step')
  );
}

const LEGEND =
  "Median times; share: what the least work would take at the device's measured ceilings, over the median; columns of other engines: their time over ours, over 1 where we are faster. Fewer than three runs are counted; an engine's way is named where it is not its own first choice.";

/**
 * Markdown: a section for each device, in the order given; further records of it that have something to show stand under its name, what is
 * wanted of it and was measured comes last.
 */
export function resultsTable(records: readonly ReadRecord[]): string {
  if (records.length === 0) return 'No device has a record yet.';
  const devices: ReadRecord[][] = [];
  for (const record of records) {
    const [before] = devices.at(-1) ?? [];
    if (before && nameOf(before) === nameOf(record)) devices.at(-1)!.push(record);
    else devices.push([record]);
  }
  const sections = devices.flatMap((own) => {
    const [first, ...further] = own;
    const shown = [first!, ...further.filter(({ rows }) => rows.some(isShown))];
    return [...shown.map((record, i) => section(record, i > 0)), ...goalsTable(own)];
  });
  return [LEGEND, ...sections].join('\n\n');
}

const isShown = (row: ReadRow) => row.engine === OURS && wanted(row);

const markdown = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;

/** Goals that something was measured for. */
function goalsTable(records: readonly ReadRecord[]): string[] {
  const measured = goalsOf(records, USUAL_CHOICE).filter(({ isMet }) => isMet !== undefined);
  if (measured.length === 0) return [];
  const lines = measured.map(({ what, wanted, got, isMet }) =>
    markdown([what, wanted, got, isMet ? 'met' : 'MISSED']),
  );
  return [[markdown(['goal', 'wanted', 'got', '']), '|---|---|---|---|', ...lines].join('\n')];
}

const nameOf = ({ device }: ReadRecord) => device.description || device.name || 'a device without a name';

function section(record: ReadRecord, isFurther: boolean): string {
  const { device, versions, rows, ceilings, date, commit, othersCpuShare } = record;
  const software = device.software === true;
  // Also those that have no such type: a column that says so.
  const lacking = record.skipped.filter((one) => one.case.startsWith(ALL_IN)).map(({ variant }) => variant);
  const order = Object.keys(versions);
  const engines = [...new Set([...rows.map(({ engine }) => engine), ...lacking])]
    .filter((engine) => engine !== OURS)
    .sort((a, b) => order.indexOf(a) - order.indexOf(b));
  const told = [
    versions.node && `Node ${versions.node}`,
    versions.webgpu && `webgpu ${versions.webgpu}`,
    date?.slice(0, 10),
    commit && `commit ${commit}`,
    ceilings.f32Gflops && `f32 multiply-adds ${formatNumber(ceilings.f32Gflops)} GFLOP/s`,
    ceilings.f16Gflops && `f16 ${formatNumber(ceilings.f16Gflops)} GFLOP/s`,
    ceilings.matrixGflops && `matrix units ${formatNumber(ceilings.matrixGflops)} GFLOP/s`,
    ceilings.copyGbps && `copy ${formatNumber(ceilings.copyGbps)} GB/s`,
    othersCpuShare !== undefined &&
      `other programs took ${formatShare(othersCpuShare)} of the CPUs' time meanwhile`,
  ].filter(Boolean);
  const lines = [
    `${isFurther ? 'Another run on it' : `**${cell(nameOf(record))}**`}: ${cell(told.join(', '))}.`,
  ];
  if (software && !isFurther)
    lines.push(
      '',
      'A software adapter: it computes on the CPU, and says nothing about any GPU. Ratios to other engines are of CPU time.',
    );
  const head = ['what', 'dtype', 'ms', 'GFLOP/s', 'share', ...engines.map(withVersion(versions))];
  const shown = rows.filter(isShown);
  const timeOf = (own: ReadRow, engine: string) =>
    rows.find((row) => row.engine === engine && isSameWork(row, own));
  const body = shown.map((row) => [
    [row.suite === 'peers' ? '' : row.suite, row.case, row.variant === CHOSEN ? '' : row.variant]
      .filter(Boolean)
      .join(', '),
    row.dtype,
    timeAndRuns(row),
    formatNumber(row.gflops || undefined),
    formatShare(row.share),
    ...engines.map((engine) => {
      const other = timeOf(row, engine);
      return other ? ratioOf(row, other, software) : whyNone(row, engine, record);
    }),
  ]);
  if (body.length === 0) return lines.join('\n');
  return [
    ...lines,
    '',
    markdown(head),
    `|${head.map((_, c) => (c < 2 ? '---|' : '--:|')).join('')}`,
    ...body.map(markdown),
    ...shown.flatMap((row) =>
      engines.flatMap((engine) => (timeOf(row, engine) ? [] : lossesOf(row, engine, record))),
    ),
  ].join('\n');
}

const isSameWork = (a: ReadRow, b: ReadRow) =>
  a.suite === b.suite && a.case === b.case && a.dtype === b.dtype;

/** What stands where an engine has no time. */
function whyNone(own: ReadRow, engine: string, { skipped, failed }: ReadRecord): string {
  const isAll = isAbout(own, engine, ALL_IN + own.dtype);
  if (skipped.some(isAll)) return `no ${own.dtype}`;
  return [...failed, ...skipped].some(isAbout(own, engine)) ? 'failed' : '-';
}

/** Why an engine failed, each reason a paragraph. */
function lossesOf(own: ReadRow, engine: string, { failed }: ReadRecord): string[] {
  return failed
    .filter(isAbout(own, engine))
    .flatMap(({ reason }) => ['', cell(`${engine}, ${own.case} ${own.dtype}: ${reason}`)]);
}

const isAbout =
  (own: ReadRow, engine: string, name = `${own.case} ${own.dtype}`) =>
  (one: LeftOut) =>
    one.suite === own.suite && one.variant === engine && one.case === name;

function ratioOf(own: ReadRow, other: ReadRow, software: boolean): string {
  const ratio =
    software && other.cpuMs && own.cpuMs ? other.cpuMs / own.cpuMs : other.medianMs / own.medianMs;
  const way = other.variant === undefined || other.variant === CHOSEN ? '' : ` (${other.variant})`;
  return `${ratio.toFixed(2)}x${way}`;
}

/** A median of one or two runs is none. */
function timeAndRuns({ medianMs, runs = 3 }: ReadRow): string {
  return runs < 3
    ? `${formatNumber(medianMs)} (${runs === 1 ? 'one run' : `${runs} runs`})`
    : formatNumber(medianMs);
}

const withVersion = (versions: ReadRecord['versions']) => (engine: string) =>
  versions[engine] ? `${engine} ${versions[engine]}` : engine;

/** One line, with nothing that Markdown would take for markup. */
function cell(text: string): string {
  return text.replace(/\s+/g, ' ').replace(/[|<>*_~`[\]\\]/g, (c) => `\\${c}`);
}

/** `text` with `table` between the markers; undefined when they are not there, once each and in order. */
export function replaceTable(text: string, table: string): string | undefined {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin || text.indexOf(BEGIN, begin + 1) >= 0 || text.indexOf(END, end + 1) >= 0)
    return undefined;
  return `${text.slice(0, begin + BEGIN.length)}\n\n${table}\n\n${text.slice(end)}`;
}
