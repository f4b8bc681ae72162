/**
 * Files of tuned variants (`npm run tune`): which device and version they were measured with, and a row a call. They lie in a
 * folder that other programs can write to, so everything is checked; a file that is not right is told of, never thrown.
 */
import type { AdapterNames } from '../runtime/adapter';
import type { Tuning } from '../runtime/tuned';
import { version } from './version';

/** What a table was measured on. Most drivers put their own name and version into `description`. */
export interface TunedDevice {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  /** The processor, where it is what computes (a software adapter). */
  readonly cpu?: string;
}

export interface TunedRow {
  /** `tuningKey`. */
  readonly key: string;
  readonly variant: string;
  /** For people: the call, what `choose` takes, where it was measured, and when (ISO 8601). */
  readonly call: string;
  readonly instead: string;
  /** Time with this variant over the time with `instead`: of the call, or of the graph where the device has no clock for calls. */
  readonly ratio: number;
  readonly where: string;
  readonly date: string;
}

export interface TunedFile {
  readonly engine: string;
  readonly device: TunedDevice;
  readonly rows: readonly TunedRow[];
}

const FORMAT = 'mla-lp tuned table';
const SCHEMA = 1;
/** A row is some 400 bytes; a model has a few dozen calls. */
export const MAX_TUNED_BYTES = 1024 * 1024;
const MAX_ROWS = 2048;
const MAX_TEXT = 600;

/** @param cpu the processor's name, kept for software adapters. */
export function tunedDevice(info: AdapterNames, software: boolean, cpu?: string): TunedDevice {
  const { vendor = '', architecture = '', device = '', description = '' } = info;
  return { vendor, architecture, device, description, ...(software && cpu && { cpu }) };
}

export function sameDevice(a: TunedDevice, b: TunedDevice): boolean {
  const parts = ['vendor', 'architecture', 'device', 'description', 'cpu'] as const;
  return parts.every((part) => a[part] === b[part]);
}

/** The file's text: rows sorted by call, so that two runs can be compared. */
export function formatTunedFile({ engine, device, rows }: TunedFile): string {
  const sorted = [...rows].sort((a, b) => (a.call < b.call ? -1 : a.call > b.call ? 1 : 0));
  return `${JSON.stringify({ format: FORMAT, schema: SCHEMA, engine, device, rows: sorted }, null, 1)}\n`;
}

/** @returns the file, or what is wrong with it. */
export function parseTunedFile(text: string): TunedFile | { readonly wrong: string } {
  if (text.length > MAX_TUNED_BYTES) return { wrong: `it has more than ${MAX_TUNED_BYTES} bytes` };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { wrong: 'it is not JSON' };
  }
  if (!isRecord(json) || json.format !== FORMAT) return { wrong: 'it is no tuned table' };
  if (json.schema !== SCHEMA) return { wrong: `it has another schema than ${SCHEMA}` };
  const device = deviceOf(json.device);
  if (!device || !isText(json.engine) || !Array.isArray(json.rows))
    return { wrong: 'it lacks engine, device or rows' };
  if (json.rows.length > MAX_ROWS) return { wrong: `it has more than ${MAX_ROWS} rows` };
  const rows = json.rows.map(rowOf);
  const bad = rows.indexOf(undefined);
  if (bad >= 0) return { wrong: `its row ${bad} is none` };
  return { engine: json.engine, device, rows: rows as TunedRow[] };
}

/**
 * What a file gives to a device: its rows where it was measured on that device by this version, else none and a note.
 * @param source names the file in notes. @param device whatever it was measured on, without it.
 */
export function tuningOf(text: string, source: string, device?: TunedDevice): Tuning {
  const nothing = (note: string): Tuning => ({ table: new Map(), source, notes: [note] });
  const file = parseTunedFile(text);
  if ('wrong' in file)
    return nothing(`Tuned table ${source} is not used: ${file.wrong}. Remove it, or tune again.`);
  if (file.engine !== version)
    return nothing(
      `Tuned table ${source} is not used: mla-lp ${file.engine} made it, this is ${version}. Tune again.`,
    );
  if (device && !sameDevice(file.device, device))
    return nothing(`Tuned table ${source} is not used: it is of another device or driver. Tune again.`);
  return { table: new Map(file.rows.map(({ key, variant }) => [key, variant])), source, notes: [] };
}

function deviceOf(value: unknown): TunedDevice | undefined {
  if (!isRecord(value)) return undefined;
  const { vendor, architecture, device, description, cpu } = value;
  if (!isText(vendor) || !isText(architecture) || !isText(device) || !isText(description)) return undefined;
  if (cpu !== undefined && !isText(cpu)) return undefined;
  return { vendor, architecture, device, description, ...(cpu !== undefined && { cpu }) };
}

function rowOf(value: unknown): TunedRow | undefined {
  if (!isRecord(value)) return undefined;
  const { key, variant, call, instead, ratio, where, date } = value;
  if (!isText(key) || !isText(variant) || !isText(call) || !isText(instead)) return undefined;
  if (!isText(where) || !isText(date) || typeof ratio !== 'number' || !Number.isFinite(ratio))
    return undefined;
  return { key, variant, call, instead, ratio, where, date };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
