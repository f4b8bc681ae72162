/** Tuned tables on disk: one file a device in the user's cache, beside what ships. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import type { AdapterNames } from '../../runtime/adapter';
import type { Tuning } from '../../runtime/tuned';
import { shippedTuning } from '../shipped-tuned';
import {
  formatTunedFile,
  MAX_TUNED_BYTES,
  parseTunedFile,
  sameDevice,
  type TunedDevice,
  type TunedRow,
  tunedDevice,
  tuningOf,
} from '../tuned-table';
import { version } from '../version';
import { userCache } from './user-cache';
import { writeError, writeFileAtomic } from './write-file';

/** The device as this machine's tables call it: a software adapter is as fast as the processor lets it be. */
export function thisDevice(info: AdapterNames, software: boolean): TunedDevice {
  return tunedDevice(info, software, cpus()[0]?.model.trim());
}

/** Where a device's table lies, whether or not there is one: `tuned/<name>-<hash of the device>.json` in the user's cache. */
export function tunedPath(device: TunedDevice, env: NodeJS.ProcessEnv = process.env): string {
  const { vendor, architecture, description, cpu = '' } = device;
  const hash = createHash('sha256').update(
    JSON.stringify([vendor, architecture, device.device, description, cpu]),
  );
  const name = (description || `${vendor} ${architecture}`)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 40);
  return join(userCache(env), 'tuned', `${name}-${hash.digest('hex').slice(0, 12)}.json`);
}

/**
 * The tuned variants of a device: its own table before what ships. `MLA_LP_TUNED=off` turns both off, any other value is the
 * path of the table to use instead. A table that cannot be used leaves a note. Undefined when there is none at all.
 */
export async function loadTuning(
  info: AdapterNames,
  software: boolean,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Tuning | undefined> {
  const named = env.MLA_LP_TUNED;
  if (named === 'off') return undefined;
  const device = thisDevice(info, software);
  let path = named;
  try {
    path ||= tunedPath(device, env);
  } catch {
    // A user without a home has no table.
    return shippedTuning(device);
  }
  const text = await readBounded(path);
  const own =
    typeof text === 'string'
      ? tuningOf(text, path, named ? undefined : device)
      : text.missing && !named
        ? undefined
        : { table: new Map(), source: path, notes: [`Tuned table ${path} is not used: ${text.wrong}.`] };
  const shipped = named ? undefined : shippedTuning(device);
  if (!own || !shipped) return own ?? shipped;
  const source = [own, shipped].filter(({ table }) => table.size > 0).map((one) => one.source);
  return {
    table: new Map([...shipped.table, ...own.table]),
    source: source.join('; ') || own.source,
    notes: own.notes,
  };
}

/** The rows of a device's own table that this version can use. None when there is no such table. */
export async function readTunedRows(path: string, device: TunedDevice): Promise<readonly TunedRow[]> {
  const text = await readBounded(path);
  const file = typeof text === 'string' ? parseTunedFile(text) : undefined;
  return file && 'rows' in file && file.engine === version && sameDevice(file.device, device)
    ? file.rows
    : [];
}

/** Replaces a device's table; with no rows, removes it. @throws MlaLpError when the disk refuses. */
export async function writeTunedRows(
  path: string,
  device: TunedDevice,
  rows: readonly TunedRow[],
): Promise<void> {
  try {
    if (rows.length === 0) return await rm(path, { force: true });
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw writeError(path, cause);
  }
  const text = formatTunedFile({ engine: version, device, rows });
  await writeFileAtomic(path, [new TextEncoder().encode(text)]);
}

/** At most `MAX_TUNED_BYTES` of a file that somebody else may have put there. */
async function readBounded(
  path: string,
): Promise<string | { readonly wrong: string; readonly missing?: true }> {
  try {
    // Without O_NONBLOCK a named pipe in its place would be waited for.
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const found = await file.stat();
      if (!found.isFile()) return { wrong: 'it is no file' };
      if (found.size > MAX_TUNED_BYTES) return { wrong: `it has more than ${MAX_TUNED_BYTES} bytes` };
      const bytes = new Uint8Array(found.size);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
      return new TextDecoder().decode(bytes.subarray(0, bytesRead));
    } finally {
      await file.close();
    }
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    return { wrong: `it cannot be read (${code})`, ...(code === 'ENOENT' && { missing: true }) };
  }
}
