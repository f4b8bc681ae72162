/** The laboratory's results as rows of text: the terminal's tables and the page's say the same. */
import {
  formatCeilings,
  formatHeader,
  formatLeftOut,
  formatNumber,
  formatShare,
  formatTable,
} from '../table';
import type { LaboratoryRecord, LaboratoryResult, LaboratoryRow } from './laboratory';
import type { Use } from './occupancy';
import type { OwnReport } from './own-table';

export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly body: readonly (readonly string[])[];
  /** Columns of text; the rest are numbers. */
  readonly left: number;
}

/** What must be computed and moved, and how long that takes at the ceilings. */
export function floorInWords({ floor, rows }: Pick<LaboratoryResult, 'floor' | 'rows'>): string {
  const ms = rows[0] && `; at the ceilings ${formatNumber(rows[0].floorMs)} ms`;
  const intensity = `${formatNumber(floor.flops / floor.bytes)} FLOP a byte`;
  return `Floor: ${formatNumber(floor.flops / 1e6)} MFLOP, ${formatNumber(floor.bytes / 1e6)} MB, ${intensity}${ms ?? ''}.`;
}

/** Error and time of each variant. */
export function timesTable(rows: readonly LaboratoryRow[]): Table {
  return {
    title: 'Variants',
    head: [
      'variant',
      'compared',
      'max error',
      'of tolerance',
      'median ms',
      'p10',
      'p90',
      'runs',
      'GFLOP/s',
      'GB/s',
      'share',
      'compile ms',
    ],
    body: rows.map((row) => [
      nameOf(row),
      row.check.compared === row.check.elements ? 'all' : `${row.check.compared} of ${row.check.elements}`,
      row.check.maxError.toExponential(1),
      formatShare(row.check.worst),
      formatNumber(row.medianMs),
      formatNumber(row.p10Ms),
      formatNumber(row.p90Ms),
      String(row.runs),
      formatNumber(row.gflops || undefined),
      formatNumber(row.gbps),
      formatShare(row.share),
      formatNumber(row.compileMs),
    ]),
    left: 2,
  };
}

/** How much of the device's limits each variant takes. */
export function limitsTable(rows: readonly LaboratoryRow[]): Table {
  const use = ({ used, limit }: Use) => `${used} of ${limit}`;
  return {
    title: 'Limits',
    head: [
      'variant',
      'invocations',
      'workgroup bytes',
      'storage buffers',
      'dispatches',
      'workgroups',
      'words declared',
    ],
    body: rows.map((row) => [
      nameOf(row),
      use(row.limits.invocations),
      use(row.limits.workgroupBytes),
      use(row.limits.storageBuffers),
      String(row.limits.dispatches),
      String(row.limits.workgroups),
      `${row.limits.declaredWords}${row.limits.incomplete ? ' and more' : ''}`,
    ]),
    left: 1,
  };
}

export const WORDS_DECLARED =
  'Words declared: 32-bit words that functions declare with var, at least so many registers an invocation if the compiler keeps them there.';

function nameOf({ variant, chosen, own }: LaboratoryRow): string {
  return `${variant}${own ? ' (yours)' : ''}${chosen ? ' (chosen)' : ''}`;
}

/** What the op's table says of an own kernel: a first line, then one for each wrong case, then why others were left out. */
export function ownInWords({ file, right, wrong, notFor, skipped }: OwnReport): string[] {
  const first = `${file} on the op's table: ${right.length} right, ${wrong.length} wrong, ${notFor.length} not for it, ${skipped.length} not tried here.`;
  const reasons = new Map<string, number>();
  for (const { reason } of [...notFor, ...skipped]) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  return [
    wrong.length > 0 ? `${first} It gets no time.` : first,
    ...wrong.map((one) => `WRONG ${one.case}: ${one.reason}`),
    ...Array.from(reasons, ([reason, count]) => `${count} left out: ${reason}`),
  ];
}

/** What failed but an own kernel's cases, which its report names. */
export function otherFailures({ own, failed }: LaboratoryRecord): LaboratoryRecord['failed'] {
  return failed.filter(
    (one) => !own?.wrong.some(({ case: name, reason }) => name === one.case && reason === one.reason),
  );
}

/** All of it, for a terminal. */
export function formatLaboratory(record: LaboratoryRecord): string {
  const { op, case: name, own, rows } = record;
  const table = ({ head, body, left }: Table) => formatTable(head, body, left);
  return [
    formatHeader(record),
    formatCeilings(record.ceilings),
    ...(own ? [ownInWords(own).join('\n  ')] : []),
    `${op} ${name}\n${floorInWords(record)}`,
    ...(rows.length > 0 ? [table(timesTable(rows)), `${table(limitsTable(rows))}\n${WORDS_DECLARED}`] : []),
    ...formatLeftOut({ skipped: record.skipped, failed: otherFailures(record) }),
  ].join('\n\n');
}
