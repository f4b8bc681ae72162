/** Runs the cells of a grid one after another; finished ones are read, and what cannot be run is listed. */
import { join } from 'node:path';
import { datasetFolders, openDataset } from '../data/node/datasets';
import { type Cell, cellPath } from '../evaluation/grid';
import type { CellOutcome } from '../evaluation/tables';
import { acquireLock, type Lock } from '../io/node/lock';
import { ensureWritableFolder } from '../io/node/write-file';
import { MlaLpError, OptionError } from '../runtime/errors';
import { cellFolder, finishCell, readCell } from './grid-folder';
import { type CellContext, type GridFlags, gridMethod } from './grid-methods';

export interface GridRun {
  readonly cells: readonly Cell[];
  readonly root: string;
  readonly out: string;
  readonly flags: GridFlags;
  readonly session: CellContext['session'];
  /** Called after each cell with all outcomes so far, unfinished cells included. */
  readonly onOutcome: (outcomes: readonly CellOutcome[]) => Promise<void>;
}

/** Errors of one cell. Others (a lost device, Ctrl-C, no memory) end the run. */
const CONCERNS_ONE_CELL: ReadonlySet<string> = new Set([
  'bad-file',
  'bad-image',
  'bad-option',
  'bad-shape',
  'bad-value',
  'limit-exceeded',
]);

/** @returns an outcome a cell, in their order. @throws what ends the run; what is finished is on disk. */
export async function runGrid(run: GridRun): Promise<CellOutcome[]> {
  const folders = await foldersByName(run.root);
  const outcomes: CellOutcome[] = run.cells.map((cell) => ({ cell, state: 'open', reason: 'It waits.' }));
  for (const [i, cell] of run.cells.entries()) {
    const finished = await readCell(cellFolder(run.out, cell));
    if (finished) outcomes[i] = { cell, ...finished };
  }
  for (const [i, cell] of run.cells.entries()) {
    if ('record' in outcomes[i]!) continue;
    const label = `[${i + 1}/${run.cells.length}] ${cellPath(cell)}`;
    const reason = await obstacle(cell, folders);
    if (reason !== undefined) {
      outcomes[i] = { cell, state: 'cannot', reason };
    } else {
      if (!run.flags.quiet) console.error(label);
      outcomes[i] = await runCell(run, cell, folders.get(cell.dataset.toLowerCase())!);
    }
    const outcome = outcomes[i]!;
    if (!run.flags.quiet && 'state' in outcome) console.error(`${label} ${outcome.state}: ${outcome.reason}`);
    await run.onOutcome(outcomes);
  }
  await run.onOutcome(outcomes);
  return outcomes;
}

async function runCell(run: GridRun, cell: Cell, path: string): Promise<CellOutcome> {
  const folder = cellFolder(run.out, cell);
  await ensureWritableFolder(folder);
  let lock: Lock;
  try {
    lock = await acquireLock(join(folder, 'cell'));
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    return { cell, state: 'open', reason: `Another process is at it. ${error.message}` };
  }
  try {
    // Another process may have done it while this one was at other cells.
    const finished = await readCell(folder);
    if (finished) return { cell, ...finished };
    const { root, flags, session } = run;
    const result = await gridMethod(cell.method).run(cell, { session, root, path, folder, flags });
    await finishCell(folder, cell, result);
    return { cell, ...result };
  } catch (error) {
    if (!(error instanceof MlaLpError) || !CONCERNS_ONE_CELL.has(error.code)) throw error;
    return { cell, state: 'failed', reason: error.message };
  } finally {
    await lock.release();
  }
}

/** What is known to stand in a cell's way before anything is computed. */
async function obstacle(cell: Cell, folders: ReadonlyMap<string, string>): Promise<string | undefined> {
  const { trains, cannot } = gridMethod(cell.method);
  const path = folders.get(cell.dataset.toLowerCase());
  if (path === undefined) return `there is no folder ${cell.dataset}_AD.`;
  try {
    await openDataset(path, { split: 'test' });
    if (cell.shots === undefined) {
      return trains && folders.size < 2 ? 'there is no other data set to train on.' : cannot?.(cell);
    }
    const valid = await openDataset(path, { split: 'valid' });
    const abnormal = valid.images.filter((image) => image.abnormal).length;
    const least = Math.min(abnormal, valid.images.length - abnormal);
    const there = least === 1 ? 'there is only 1 image' : `there are only ${least} images`;
    return least < cell.shots ? `${there} of a class to train on.` : cannot?.(cell, valid);
  } catch (error) {
    if (error instanceof OptionError) return error.message;
    throw error;
  }
}

/** Paths of the data sets, by name in lower case. @throws OptionError when there is none. */
async function foldersByName(root: string): Promise<Map<string, string>> {
  const folders = await datasetFolders(root);
  if (folders.length > 0) {
    return new Map(folders.map((name) => [name.replace(/_AD$/i, '').toLowerCase(), join(root, name)]));
  }
  throw new OptionError(
    `${root}: no folder in it is called <Name>_AD.`,
    'Give the folder that holds Brain_AD, Liver_AD, Retina_RESC_AD and so on.',
  );
}
