/** A record as elements: the roofline and its tables, in a file or in the laboratory's page. */
import type { ReadRecord, ReadRow } from '../read-record';
import type { LeftOut } from '../record';
import { formatNumber, formatShare } from '../table';
import type { LaboratoryRecord } from './laboratory';
import { el, type Markup } from './markup';
import { hasPlace, roofline } from './roofline';
import {
  floorInWords,
  limitsTable,
  otherFailures,
  ownInWords,
  type Table,
  timesTable,
  WORDS_DECLARED,
} from './words';

const SOFTWARE = 'A software adapter: it computes on the CPU. For tests only; says nothing about any GPU.';

/** The laboratory's results. */
export function laboratoryView(record: LaboratoryRecord): Markup[] {
  const { op, case: name, own, rows, device, ceilings } = record;
  return [
    ...(device.software ? [el('p', { class: 'notice', role: 'note' }, SOFTWARE)] : []),
    ...(own ? [section('Your kernel', ...ownView(ownInWords(own)))] : []),
    section(
      `${op}, ${name}`,
      el('p', {}, floorInWords(record)),
      ...plotView(rows, record),
      ...(rows.length > 0
        ? [
            table(numbered(timesTable(rows))),
            table(limitsTable(rows)),
            el('p', { class: 'note' }, WORDS_DECLARED),
          ]
        : []),
      el('p', { class: 'note' }, ceilingsInWords(ceilings)),
    ),
    ...leftOutView({ skipped: record.skipped, failed: otherFailures(record) }),
  ];
}

/** Any record of the bench. */
export function recordView(record: ReadRecord): Markup[] {
  const { rows, device, ceilings } = record;
  const missing = rows.length - rows.filter(hasPlace).length;
  return [
    ...(device.software ? [el('p', { class: 'notice', role: 'note' }, SOFTWARE)] : []),
    section(
      'Roofline',
      ...plotView(rows, record),
      el('p', { class: 'note' }, ceilingsInWords(ceilings)),
      ...(missing > 0
        ? [
            el(
              'p',
              { class: 'note' },
              `Without arithmetic to count, and so without a place in the plot: ${missing}.`,
            ),
          ]
        : []),
      table(numbered(rowsTable(rows))),
    ),
    ...leftOutView(record),
  ];
}

function ceilingsInWords({ copyGbps, f32Gflops, f16Gflops, matrixGflops }: ReadRecord['ceilings']): string {
  const f16 = f16Gflops ? `, f16 ${formatNumber(f16Gflops)} GFLOP/s` : '';
  const matrix = matrixGflops ? `, matrix units ${formatNumber(matrixGflops)} GFLOP/s` : '';
  return `Measured ceilings: f32 ${formatNumber(f32Gflops)} GFLOP/s${f16}${matrix}, copy ${formatNumber(copyGbps)} GB/s. Share: time of the floor at these over the median.`;
}

function plotView(rows: readonly ReadRow[], { ceilings }: Pick<ReadRecord, 'ceilings'>): Markup[] {
  const drawing = roofline(rows, ceilings);
  if (!drawing) return [];
  const keys = [...new Set(rows.filter(hasPlace).map(({ dtype }) => dtype))].map((dtype) =>
    el('li', {}, el('span', { class: `key ${dtype}` }), dtype),
  );
  return [el('figure', { class: 'plot' }, drawing, el('ul', { class: 'keys' }, ...keys))];
}

/** With the plot's numbers. */
function numbered({ head, body, left, ...rest }: Table): Table {
  return {
    ...rest,
    head: ['no.', ...head],
    body: body.map((cells, i) => [String(i + 1), ...cells]),
    left: left + 1,
  };
}

function rowsTable(rows: readonly ReadRow[]): Table {
  return {
    title: 'Rows',
    head: [
      'suite',
      'case',
      'engine',
      'variant',
      'dtype',
      'median ms',
      'GFLOP/s',
      'GB/s',
      'FLOP a byte',
      'share',
    ],
    body: rows.map((row) => [
      row.suite,
      row.case,
      row.engine,
      row.variant ?? '',
      row.dtype,
      formatNumber(row.medianMs),
      formatNumber(row.gflops || undefined),
      formatNumber(row.gbps || undefined),
      hasPlace(row) ? formatNumber(row.floor.flops / row.floor.bytes) : '-',
      formatShare(row.share),
    ]),
    left: 5,
  };
}

function section(title: string, ...children: readonly Markup[]): Markup {
  return el('section', {}, el('h2', {}, title), ...children);
}

function ownView([first = '', ...lines]: readonly string[]): Markup[] {
  return [
    el('p', {}, first),
    ...(lines.length > 0
      ? [
          el(
            'ul',
            {},
            ...lines.map((line) => el('li', line.startsWith('WRONG') ? { class: 'failed' } : {}, line)),
          ),
        ]
      : []),
  ];
}

function leftOutView({
  skipped = [],
  failed,
}: {
  readonly skipped?: readonly LeftOut[];
  readonly failed: readonly LeftOut[];
}): Markup[] {
  const list = (title: string, left: readonly LeftOut[], kind: string) =>
    left.length === 0
      ? []
      : [
          section(
            title,
            el(
              'ul',
              { class: kind },
              ...left.map((one) => el('li', {}, `${one.suite}, ${one.case}, ${one.variant}: ${one.reason}`)),
            ),
          ),
        ];
  return [
    ...list('Wrong result or error, so no time', failed, 'failures failed'),
    ...list('Not run', skipped, 'failures'),
  ];
}

function table({ title, head, body, left }: Table): Markup {
  const cell = (tag: 'th' | 'td', text: string, column: number, scope?: string) =>
    el(tag, { ...(column >= left && { class: 'number' }), ...(scope && { scope }) }, text);
  return el(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': title },
    el(
      'table',
      {},
      el('thead', {}, el('tr', {}, ...head.map((name, c) => cell('th', name, c, 'col')))),
      el(
        'tbody',
        {},
        ...body.map((cells) =>
          el(
            'tr',
            {},
            ...cells.map((text, c) => (c === 0 ? cell('th', text, c, 'row') : cell('td', text, c))),
          ),
        ),
      ),
    ),
  );
}
