/**
 * Per-image results as files for other tools: JSON Lines, which Parquet tools take (pyarrow, polars, DuckDB), and CSV. One flat
 * row an image, the same columns and types in every file, and each row says whose it is, so that files can be joined.
 */
import { csvRow } from '../data/csv';
import type { EvaluatedImage, EvaluationRecord } from './record';

/** What the table needs of a record. Failures are not in it: they have no score. */
export type ImageTableSource = Pick<EvaluationRecord, 'dataset' | 'protocol' | 'method' | 'images'>;

type Cell =
  | { readonly type: 'text'; readonly value: string }
  | { readonly type: 'integer'; readonly value: number }
  | { readonly type: 'boolean'; readonly value: boolean }
  /** f64; undefined, NaN and infinity are null. */
  | { readonly type: 'float'; readonly value: number | undefined };

const text = (value: string): Cell => ({ type: 'text', value });
const float = (value: number | undefined): Cell => ({ type: 'float', value });

/** The columns, in order. Renaming or retyping one breaks what people wrote to read it. */
const columns: readonly (readonly [string, (image: EvaluatedImage, of: ImageTableSource) => Cell])[] = [
  ['dataset', (_, of) => text(of.dataset)],
  ['protocol', (_, of) => text(of.protocol)],
  ['method', (_, of) => text(of.method)],
  ['name', (image) => text(image.name)],
  ['label', (image) => ({ type: 'integer', value: image.abnormal ? 1 : 0 })],
  ['has_mask', (image) => ({ type: 'boolean', value: image.hasMask })],
  ['score', (image) => float(image.score)],
  ['zero_shot', (image) => float(image.parts.zeroShot)],
  ['few_shot', (image) => float(image.parts.fewShot)],
  ['map_max', (image) => float(image.parts.mapMax)],
];

/** Names of the columns of `images.jsonl` and `images.csv`. */
export const imageColumns: readonly string[] = columns.map(([name]) => name);

/** Rows in a chunk: few writes, and memory that does not depend on the number of images. */
const CHUNK_ROWS = 1000;

/** `images.jsonl`: an object a line, every column in each, floats with a point or exponent so that no reader takes them for integers. */
export function imagesJsonl(record: ImageTableSource): Generator<string> {
  return chunked(record, (cells) => {
    const members = cells.map((cell, i) => `"${imageColumns[i]}":${json(cell)}`);
    return `{${members.join(',')}}\n`;
  });
}

/**
 * `images.csv` by RFC 4180, with a header. Null is an empty field, `has_mask` is true or false. Text that a spreadsheet would
 * take for a formula has an apostrophe before it; images.jsonl has all names as they are.
 */
export function* imagesCsv(record: ImageTableSource): Generator<string> {
  yield csvRow(imageColumns);
  yield* chunked(record, (cells) =>
    csvRow(cells.map((cell) => (cell.type === 'float' ? finite(cell.value) : cell.value))),
  );
}

function* chunked(record: ImageTableSource, row: (cells: readonly Cell[]) => string): Generator<string> {
  for (let at = 0; at < record.images.length; at += CHUNK_ROWS) {
    const images = record.images.slice(at, at + CHUNK_ROWS);
    yield images.map((image) => row(columns.map(([, of]) => of(image, record)))).join('');
  }
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

function json(cell: Cell): string {
  if (cell.type === 'text') return jsonText(cell.value);
  if (cell.type !== 'float') return String(cell.value);
  const value = finite(cell.value);
  if (value === null) return 'null';
  const digits = Object.is(value, -0) ? '-0' : String(value);
  return /[.e]/.test(digits) ? digits : `${digits}.0`;
}

/** No half surrogates, which strict readers refuse, and none of the further line ends that some split at. */
function jsonText(value: string): string {
  const whole = value.replace(/\p{Surrogate}/gu, '\ufffd');
  return JSON.stringify(whole).replace(
    /[\u0085\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
