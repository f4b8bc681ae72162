/** Reads a record back from JSON, trusting nothing: rows need a few fields, what stands around them may be missing. */
import { readFile, stat } from 'node:fs/promises';
import { BadFileError } from '../src/runtime/errors';
import type { BenchRecord, Ceilings, LeftOut, Row } from './record';

/** A row as other programs may write it. */
export type ReadRow = Pick<Row, 'suite' | 'case' | 'engine' | 'dtype' | 'medianMs'> & Partial<Row>;

/** Everything but the rows may be missing: other programs' records have less. */
export interface ReadRecord
  extends Partial<Omit<BenchRecord, 'rows' | 'device' | 'versions' | 'ceilings' | 'skipped' | 'failed'>> {
  readonly rows: readonly ReadRow[];
  readonly device: Partial<BenchRecord['device']>;
  readonly versions: Readonly<Record<string, string>>;
  readonly ceilings: Partial<Ceilings>;
  readonly skipped: readonly LeftOut[];
  readonly failed: readonly LeftOut[];
}

/** Thousands of rows take less. */
const MOST_BYTES = 64 * 1024 * 1024;
const NUMBERS = [
  'p10Ms',
  'p90Ms',
  'runs',
  'gflops',
  'gbps',
  'share',
  'cpuMs',
  'peakBytes',
  'imagesPerS',
] as const;

export async function readRecord(path: string): Promise<ReadRecord> {
  const { size } = await stat(path).catch((cause: Error) => {
    throw new BadFileError(path, `it cannot be read (${cause.message})`, 'Give a file that --json wrote.');
  });
  if (size > MOST_BYTES) throw new BadFileError(path, `${size} bytes are no record of timings`);
  return parseRecord(await readFile(path, 'utf8'), path);
}

/** @param label names the file in errors. @throws BadFileError */
export function parseRecord(text: string, label: string): ReadRecord {
  const bad = (fact: string) => new BadFileError(label, fact, 'Give a file that --json wrote.');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw bad('it is not JSON');
  }
  if (!isObject(json) || !Array.isArray(json.rows)) throw bad('it has no rows');
  const rows = json.rows.map((row: unknown, i) => {
    if (!isObject(row)) throw bad(`row ${i} is no object`);
    for (const field of ['suite', 'case', 'engine', 'dtype'] as const)
      if (typeof row[field] !== 'string') throw bad(`row ${i} has no ${field}`);
    if (!isTime(row.medianMs)) throw bad(`row ${i} has no medianMs over 0`);
    for (const field of NUMBERS)
      if (row[field] !== undefined && !Number.isFinite(row[field]))
        throw bad(`row ${i}: ${field} is no number`);
    if (row.variant !== undefined && typeof row.variant !== 'string')
      throw bad(`row ${i}: variant is no text`);
    return row as unknown as ReadRow;
  });
  const { device, versions, ceilings, skipped, failed, date, commit, clock, notes, othersCpuShare } = json;
  return {
    rows,
    device: isObject(device)
      ? checkedDevice(device, bad)
      : typeof device === 'string'
        ? { name: device }
        : {},
    versions: texts(versions),
    ceilings: isObject(ceilings) ? numbers(ceilings) : {},
    skipped: Array.isArray(skipped) ? skipped.filter(isLeftOut) : [],
    failed: Array.isArray(failed) ? failed.filter(isLeftOut) : [],
    ...(typeof date === 'string' && { date }),
    ...(typeof commit === 'string' && { commit }),
    ...((clock === 'timestamp' || clock === 'wall') && { clock }),
    ...(isNumber(othersCpuShare) && { othersCpuShare }),
    ...(Array.isArray(notes) && { notes: notes.filter((note) => typeof note === 'string') }),
  };
}

/** The fields that are read of a device: texts and whether it is software. */
function checkedDevice(
  { name, vendor, architecture, device, description, software }: Record<string, unknown>,
  bad: (fact: string) => Error,
): ReadRecord['device'] {
  const words = { name, vendor, architecture, device, description };
  for (const [field, value] of Object.entries(words))
    if (value !== undefined && typeof value !== 'string') throw bad(`the device's ${field} is no text`);
  const known = Object.entries(words).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(known), software: software === true };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isTime = (value: unknown): value is number =>
  typeof value === 'number' && value > 0 && value < Infinity;

const isNumber = (value: unknown): value is number => Number.isFinite(value);

const isLeftOut = (value: unknown): value is LeftOut =>
  isObject(value) && ['suite', 'case', 'variant', 'reason'].every((key) => typeof value[key] === 'string');

/** Versions by name; those of other engines lie one level deeper. */
function texts(value: unknown): Record<string, string> {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries({ ...value, ...(isObject(value.engines) && value.engines) }).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    ),
  );
}

function numbers(value: Record<string, unknown>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, number] => Number.isFinite(entry[1])),
  );
}
