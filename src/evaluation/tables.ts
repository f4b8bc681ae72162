/** Results of a grid beside published numbers, as Markdown, CSV, JSON and LaTeX. */
import { csvRow } from '../data/csv';
import type { Estimate } from '../metrics/metrics';
import type { Cell } from './grid';
import { cellPath } from './grid';
import {
  type Column,
  type Metric,
  methodLabels,
  PUBLISHED_SOURCE,
  publishedColumns,
  publishedMethods,
  publishedValue,
} from './published';
import type { EvaluationRecord, Protocol } from './record';

/** What became of a cell. */
export type CellOutcome = { readonly cell: Cell } & (
  | {
      readonly record: Pick<EvaluationRecord, 'image' | 'pixel' | 'selection' | 'failures'>;
      readonly note?: string;
    }
  /** `cannot`: known beforehand. `failed`: while it ran. `open`: not done yet. */
  | { readonly state: 'cannot' | 'failed' | 'open'; readonly reason: string }
);

/** AUROC in per cent. */
export interface Found {
  /** Mean over the seeds. */
  readonly value: number;
  /** 95 % interval; over several seeds from the lowest bound to the highest. NaN where there is none. */
  readonly low: number;
  readonly high: number;
  /** Standard deviation over the seeds (n - 1); undefined for one. */
  readonly deviation?: number;
  readonly seeds: number;
}

export interface Comparison {
  readonly protocol: Protocol;
  readonly shots?: number;
  readonly method: string;
  readonly dataset: string;
  readonly metric: Metric;
  readonly ours?: Found;
  /** Per cent. */
  readonly published?: number;
  /** Ours - published, percentage points. */
  readonly difference?: number;
  /** The published number lies outside our interval. */
  readonly outside?: boolean;
}

export interface Grid {
  readonly comparisons: readonly Comparison[];
  readonly outcomes: readonly CellOutcome[];
}

/** Every method that was asked for or published, for every data set and number of shots that was asked for. */
export function compare(outcomes: readonly CellOutcome[]): Grid {
  const comparisons: Comparison[] = [];
  const tables = distinct(outcomes.map(({ cell }) => `${cell.protocol} ${cell.shots ?? ''}`));
  for (const table of tables) {
    const inTable = outcomes.filter(({ cell }) => `${cell.protocol} ${cell.shots ?? ''}` === table);
    const { protocol, shots } = inTable[0]!.cell;
    const methods = distinct([
      ...publishedMethods(protocol, shots),
      ...Object.keys(methodLabels).filter((method) => inTable.some(({ cell }) => cell.method === method)),
      ...inTable.map(({ cell }) => cell.method),
    ]);
    for (const method of methods) {
      for (const column of columnsOf(inTable)) {
        const { dataset, metric } = column;
        const ours = found(
          inTable.filter(({ cell }) => cell.method === method && cell.dataset === dataset),
          metric,
        );
        const published = publishedValue(protocol, shots, method, column);
        if (!ours && published === undefined) continue;
        comparisons.push({
          protocol,
          ...(shots !== undefined && { shots }),
          method,
          dataset,
          metric,
          ...(ours && { ours }),
          ...(published !== undefined && { published }),
          ...(ours && published !== undefined && against(ours, published)),
        });
      }
    }
  }
  return { comparisons, outcomes };
}

function against(ours: Found, published: number): Pick<Comparison, 'difference' | 'outside'> {
  const difference = ours.value - published;
  return Number.isNaN(ours.low) || Number.isNaN(difference)
    ? { difference }
    : // A published number stands for all that are rounded to it.
      { difference, outside: published < ours.low - 0.005 || published > ours.high + 0.005 };
}

/** The paper's columns of the data sets that were asked for, then those of other data sets. */
function columnsOf(outcomes: readonly CellOutcome[]): Column[] {
  const datasets = distinct(outcomes.map(({ cell }) => cell.dataset));
  const known = publishedColumns.filter(({ dataset }) => datasets.includes(dataset));
  const others = datasets.filter((dataset) => !publishedColumns.some((column) => column.dataset === dataset));
  const more = (dataset: string, metric: Metric): Column => ({ dataset, label: dataset, metric });
  const hasPixels = (dataset: string) =>
    outcomes.some(
      (outcome) => outcome.cell.dataset === dataset && 'record' in outcome && outcome.record.pixel,
    );
  return [
    ...known,
    ...others.flatMap((dataset) => [
      more(dataset, 'image'),
      ...(hasPixels(dataset) ? [more(dataset, 'pixel')] : []),
    ]),
  ];
}

function found(outcomes: readonly CellOutcome[], metric: Metric): Found | undefined {
  const estimates = outcomes.flatMap((outcome): Estimate[] => {
    const metrics = 'record' in outcome ? outcome.record[metric] : undefined;
    return metrics ? [metrics.auroc] : [];
  });
  if (estimates.length === 0) return undefined;
  const seeds = estimates.length;
  const value = (100 * estimates.reduce((sum, estimate) => sum + estimate.value, 0)) / seeds;
  const squares = estimates.reduce((sum, estimate) => sum + (100 * estimate.value - value) ** 2, 0);
  return {
    value,
    low: 100 * Math.min(...estimates.map(({ low }) => low)),
    high: 100 * Math.max(...estimates.map(({ high }) => high)),
    ...(seeds > 1 && { deviation: Math.sqrt(squares / (seeds - 1)) }),
    seeds,
  };
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}

/** A table as the paper has it: a block of rows a method, a column a data set and metric. */
interface Layout {
  readonly title: string;
  readonly columns: readonly Column[];
  readonly blocks: readonly { readonly method: string; readonly lines: readonly Line[] }[];
}

interface Line {
  readonly kind: 'ours' | 'published' | 'difference';
  /** By column; undefined where there is nothing. */
  readonly cells: readonly (Comparison | undefined)[];
}

function layouts({ comparisons }: Grid): Layout[] {
  const titles = distinct(comparisons.map(titleOf));
  return titles.map((title) => {
    const inTable = comparisons.filter((comparison) => titleOf(comparison) === title);
    const has = (column: Column) =>
      inTable.some((c) => c.dataset === column.dataset && c.metric === column.metric);
    const others = inTable
      .filter(({ dataset }) => !publishedColumns.some((column) => column.dataset === dataset))
      .map(({ dataset, metric }): Column => ({ dataset, label: dataset, metric }));
    const columns = [...publishedColumns, ...others].filter(
      (column, i, all) =>
        has(column) && all.findIndex((c) => c.dataset === column.dataset && c.metric === column.metric) === i,
    );
    const blocks = distinct(inTable.map(({ method }) => method)).map((method) => {
      const cells = columns.map((column) =>
        inTable.find(
          (c) => c.method === method && c.dataset === column.dataset && c.metric === column.metric,
        ),
      );
      const line = (kind: Line['kind'], of: (c: Comparison) => unknown): Line[] =>
        cells.some((c) => c && of(c) !== undefined) ? [{ kind, cells }] : [];
      return {
        method,
        lines: [
          ...line('ours', (c) => c.ours),
          ...line('published', (c) => c.published),
          ...line('difference', (c) => c.difference),
        ],
      };
    });
    return { title, columns, blocks };
  });
}

function titleOf({ protocol, shots }: Pick<Comparison, 'protocol' | 'shots'>): string {
  return protocol === 'zero-shot' ? 'Zero-shot' : `Few-shot, ${shots} shots`;
}

const METRIC: Readonly<Record<Metric, string>> = { image: 'AC', pixel: 'AS' };

/** What a cell says; '' for nothing. @param minus stands before negative differences. */
function cellText(kind: Line['kind'], c: Comparison | undefined, minus: string): string {
  if (kind === 'published') return c?.published?.toFixed(2) ?? '';
  if (kind === 'ours') {
    if (!c?.ours) return '';
    const { value, low, high, deviation } = c.ours;
    if (Number.isNaN(value)) return 'undefined';
    if (deviation !== undefined) return `${value.toFixed(2)} ± ${deviation.toFixed(2)}`;
    return Number.isNaN(low)
      ? value.toFixed(2)
      : `${value.toFixed(2)} [${low.toFixed(1)}, ${high.toFixed(1)}]`;
  }
  if (c?.difference === undefined || Number.isNaN(c.difference)) return '';
  const size = Math.abs(c.difference).toFixed(2);
  const sign = size === '0.00' ? '' : c.difference > 0 ? '+' : minus;
  return `${sign}${size}${c.outside ? '*' : ''}`;
}

const LEGEND = [
  'AUROC in per cent. AC: of images. AS: of pixels.',
  'Ours: one seed with its 95 % bootstrap interval, several seeds as mean ± standard deviation.',
  'Difference: ours minus published, in percentage points; * where the published number lies outside our interval (over several seeds: outside all of theirs together).',
  `Published: ${PUBLISHED_SOURCE}.`,
] as const;

/** What a reader of the numbers has to know besides: choices made on the test set, images left out, cells that are missing. */
function notes({ outcomes }: Grid): string[] {
  const cellsOf = new Map<string, Cell[]>();
  const say = (text: string, cell: Cell) => cellsOf.set(text, [...(cellsOf.get(text) ?? []), cell]);
  for (const outcome of outcomes) {
    const { cell } = outcome;
    if ('record' in outcome) {
      const { record, note } = outcome;
      if (record.selection === 'best-on-test')
        say('the epoch that did best on the test images, an optimistic number', cell);
      if (note !== undefined) say(note, cell);
      if (record.failures.length > 0) say(`${record.failures.length} images could not be scored`, cell);
    } else {
      say(`${STATE[outcome.state]}: ${outcome.reason}`, cell);
    }
  }
  return [...cellsOf].map(([text, [first, ...more]]) => {
    const others =
      more.length === 0 ? '' : ` and ${more.length} more ${more.length === 1 ? 'cell' : 'cells'}`;
    return `${cellPath(first!)}${others}: ${text}`;
  });
}

const STATE = { cannot: 'cannot be run', failed: 'failed', open: 'not done yet' } as const;

function markdownText(text: string): string {
  return text.replace(/[\\|*_<>[\]`]/g, (char) => `\\${char}`).replace(/\s+/g, ' ');
}

export function markdownTables(grid: Grid): string {
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const parts: string[] = [];
  for (const { title, columns, blocks } of layouts(grid)) {
    parts.push(`## ${title}`, '');
    parts.push(
      row(['Method', '', ...columns.map(({ label, metric }) => `${markdownText(label)} ${METRIC[metric]}`)]),
    );
    parts.push(row(['---', '---', ...columns.map(() => '---:')]));
    for (const { method, lines } of blocks) {
      lines.forEach(({ kind, cells }, i) => {
        const name = i === 0 ? markdownText(methodLabels[method] ?? method) : '';
        parts.push(row([name, kind, ...cells.map((c) => markdownText(cellText(kind, c, '−')))]));
      });
    }
    parts.push('');
  }
  parts.push(...LEGEND.map(markdownText).flatMap((line) => [line, '']));
  const more = notes(grid);
  if (more.length > 0) parts.push('## Notes', '', ...more.map((line) => `- ${markdownText(line)}`), '');
  return `${parts.join('\n').trimEnd()}\n`;
}

/** One line a comparison; RFC 4180. */
export function csvTable({ comparisons }: Grid): string {
  const head = [
    'protocol',
    'shots',
    'method',
    'dataset',
    'metric',
    'ours',
    'low',
    'high',
    'deviation',
    'seeds',
  ];
  const number = (value: number | undefined) => (value === undefined || Number.isNaN(value) ? null : value);
  const rows = comparisons.map(({ ours, ...c }) => [
    c.protocol,
    c.shots ?? null,
    c.method,
    c.dataset,
    `${c.metric}_auroc`,
    number(ours?.value),
    number(ours?.low),
    number(ours?.high),
    number(ours?.deviation),
    ours?.seeds ?? null,
    number(c.published),
    number(c.difference),
    c.outside ?? null,
  ]);
  return [[...head, 'published', 'difference', 'outside'], ...rows].map(csvRow).join('');
}

/** What the other forms hold, and what was asked for; undefined numbers are null. */
export function jsonTable(grid: Grid, about: Readonly<Record<string, unknown>>): string {
  const cells = grid.outcomes.map((outcome) => ({
    ...outcome.cell,
    ...('record' in outcome
      ? { state: 'done', selection: outcome.record.selection, ...(outcome.note && { note: outcome.note }) }
      : { state: outcome.state, reason: outcome.reason }),
  }));
  const table = {
    format: 'mla-lp tables 1',
    unit: 'AUROC, per cent',
    source: PUBLISHED_SOURCE,
    ...about,
    comparisons: grid.comparisons,
    cells,
  };
  return `${JSON.stringify(table, undefined, 1)}\n`;
}

const LATEX: Readonly<Record<string, string>> = {
  '\\': '\\textbackslash{}',
  '~': '\\textasciitilde{}',
  '^': '\\textasciicircum{}',
  '±': '$\\pm$',
  '−': '$-$',
  '*': '$^{*}$',
};

function latexText(text: string): string {
  return text
    .replace(/[\\~^±−*]|[&%$#_{}]/g, (char) => LATEX[char] ?? `\\${char}`)
    .replace(/"([^"]*)"/g, "``$1''")
    .replace(/\s+/g, ' ');
}

/** A table environment each, for the packages booktabs and graphicx. */
export function latexTables(grid: Grid): string {
  const parts = ['% Needs \\usepackage{booktabs,graphicx}.'];
  for (const { title, columns, blocks } of layouts(grid)) {
    const groups: { label: string; span: number }[] = [];
    for (const [i, { dataset, label }] of columns.entries()) {
      if (i > 0 && columns[i - 1]!.dataset === dataset) groups.at(-1)!.span++;
      else groups.push({ label, span: 1 });
    }
    const row = (cells: readonly string[]) => `${cells.join(' & ')} \\\\`;
    parts.push(
      '\\begin{table}',
      `\\caption{${latexText(`${title}. ${LEGEND.join(' ')}`)}}`,
      '\\resizebox{\\linewidth}{!}{%',
      `\\begin{tabular}{ll${'r'.repeat(columns.length)}}`,
      '\\toprule',
      row([
        'Method',
        '',
        ...groups.map(({ label, span }) => `\\multicolumn{${span}}{c}{${latexText(label)}}`),
      ]),
      row(['', '', ...columns.map(({ metric }) => METRIC[metric])]),
    );
    for (const { method, lines } of blocks) {
      parts.push('\\midrule');
      lines.forEach(({ kind, cells }, i) => {
        const name = i === 0 ? latexText(methodLabels[method] ?? method) : '';
        parts.push(row([name, kind, ...cells.map((c) => latexText(cellText(kind, c, '−')))]));
      });
    }
    parts.push('\\bottomrule', '\\end{tabular}}', '\\end{table}');
  }
  parts.push(...notes(grid).map((line) => `% ${line.replace(/\s+/g, ' ')}`));
  return `${parts.join('\n')}\n`;
}
