/** A grid on disk: what it was begun with, and one folder a cell with what is finished of it. */
import { readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Cell, cellPath, type GridIdentity, identityDifference } from '../evaluation/grid';
import type { EvaluationRecord } from '../evaluation/record';
import { parseRecord } from '../evaluation/summary';
import { previousPath } from '../io/node/generations';
import { isFile } from '../io/node/is-file';
import { ensureWritableFolder, writeFileAtomic } from '../io/node/write-file';
import { OptionError } from '../runtime/errors';
import { epochModels } from './epoch-models';
import { recordPath } from './evaluation-run';
import { statePath } from './training-run';

const IDENTITY = 'grid.json';
/** Written last: a cell that has it is finished. */
const CELL = 'cell.json';
/** What a cell trained. */
export const MODEL = 'model.safetensors';

export interface FinishedCell {
  readonly record: EvaluationRecord;
  /** How the cell departs from the published protocol. */
  readonly note?: string;
}

export function cellFolder(out: string, cell: Cell): string {
  return join(out, ...cellPath(cell).split('/'));
}

/**
 * Makes the folder, or sees to it that what is in it was made with the same settings.
 * @throws OptionError naming the setting that differs.
 */
export async function openGridFolder(out: string, identity: GridIdentity): Promise<void> {
  await ensureWritableFolder(out);
  const path = join(out, IDENTITY);
  const text = await textAt(path);
  if (text === undefined) return writeJson(path, identity);
  const difference = identityDifference(parseIdentity(text, path), identity);
  if (difference !== undefined) {
    throw new OptionError(
      `${out} holds results of other settings: ${difference}.`,
      'Give the settings that it was begun with, or another --out.',
    );
  }
}

function parseIdentity(text: string, path: string): GridIdentity {
  try {
    const found: unknown = JSON.parse(text);
    if (typeof found === 'object' && found !== null) return found as GridIdentity;
  } catch {
    // Said below.
  }
  throw new OptionError(`${path}: this is not what reproduce wrote.`, 'Choose another --out.');
}

/** Undefined unless the cell is finished and whole. */
export async function readCell(folder: string): Promise<FinishedCell | undefined> {
  const [cell, record] = [await textAt(join(folder, CELL)), await textAt(recordPath(folder))];
  if (cell === undefined || record === undefined) return undefined;
  try {
    const { note } = JSON.parse(cell) as { note?: string };
    return { record: parseRecord(record, recordPath(folder)), ...(note !== undefined && { note }) };
  } catch {
    // Damaged: it is done once more.
    return undefined;
  }
}

/** Marks a cell whose results are there as finished, and removes the models of epochs that were not chosen. */
export async function finishCell(folder: string, cell: Cell, { record, note }: FinishedCell): Promise<void> {
  await writeJson(join(folder, CELL), { ...cell, ...(note !== undefined && { note }) });
  if (record.selection !== 'best-on-test') return;
  for (const path of await epochModels(join(folder, MODEL)))
    if (basename(path) !== record.configuration.model) await rm(path, { force: true });
}

/** How far a cell's training has come. */
export async function trainingProgress(model: string): Promise<'trained' | 'begun' | undefined> {
  const state = statePath(model);
  if ((await isFile(state)) || (await isFile(previousPath(state)))) return 'begun';
  return (await isFile(model)) ? 'trained' : undefined;
}

/** Removes the state that training could go on from, which is much larger than the model: a model without one is finished. */
export async function markTrained(model: string): Promise<void> {
  const state = statePath(model);
  for (const path of [previousPath(state), state]) await rm(path, { force: true });
}

async function textAt(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined;
    throw new OptionError(`${path}: it cannot be read (${cause.code}).`, 'Check its permissions.');
  });
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileAtomic(path, [new TextEncoder().encode(`${JSON.stringify(value, undefined, 1)}\n`)]);
}
