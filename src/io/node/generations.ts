/**
 * Two generations of a saved state: `<path>` and, one save older, `<path>.previous`. Which is newer is in their names alone: no
 * clock is asked, which may stand ten years off. One process at a time may save (lock.ts).
 */
import { constants } from 'node:fs';
import { copyFile, link, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MlaLpError } from '../../runtime/errors';
import { isTemporaryOf, temporaryPath, writeError, writeFileAtomic } from './write-file';

/** Reads one generation whole and checks it. @throws MlaLpError `bad-file` for a damaged one. */
export type ReadGeneration<T> = (path: string) => Promise<T>;

export interface Opened<T> {
  readonly value: T;
  readonly generation: 'newest' | 'previous';
  readonly path: string;
  /** Why the newest was refused, where the previous is given. */
  readonly refused?: MlaLpError;
}

/** Where the generation before `path` lies. */
export function previousPath(path: string): string {
  return `${path}.previous`;
}

/** Reasons that say nothing about the file: going back a generation would only hide them. */
const NOT_THE_FILES_FAULT = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EACCES', 'EPERM']);

function isDamaged(error: unknown): error is MlaLpError {
  if (!(error instanceof MlaLpError) || error.code !== 'bad-file') return false;
  const code = (error.cause as NodeJS.ErrnoException | undefined)?.code;
  return code === undefined || !NOT_THE_FILES_FAULT.has(code);
}

async function copyDurably(from: string, to: string): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  const file = await open(to, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Gives the present file its second name. It keeps the first until the new one takes that: no moment is without a whole file. */
async function keepPresent(path: string): Promise<void> {
  const temporary = temporaryPath(path);
  try {
    await link(path, temporary).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') throw cause;
      // FAT and some network disks have no second names.
      return copyDurably(path, temporary);
    });
    await rename(temporary, previousPath(path));
  } catch (cause) {
    // The first save keeps nothing. Has the folder vanished instead, the next rename says so.
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw writeError(path, cause);
  } finally {
    // Also after success: a rename onto another name of the same file does nothing, and a killed save leaves such names.
    await rm(temporary, { force: true });
  }
}

/**
 * Writes the new generation to `path`; what lay there becomes `<path>.previous`. At every moment, also under SIGKILL between
 * any two system calls, a whole generation lies at `path`. When it returns, the new one is durable. When it throws, the present
 * one is still there; only an error of the folder's sync comes after the new one took its place.
 * @param read tells whether the present file may become the previous one. A damaged one is replaced, and the good previous
 * generation kept. Needed for a save after `openNewest` gave the previous generation; without it, the present file counts as good.
 * @throws MlaLpError `bad-file` (disk full, no permission, ...); errors of `chunks` pass through.
 */
export async function saveGeneration(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  read?: ReadGeneration<unknown>,
): Promise<void> {
  await writeFileAtomic(path, chunks, async () => {
    try {
      await read?.(path);
    } catch (error) {
      if (isDamaged(error)) return;
      throw error;
    }
    await keepPresent(path);
  });
}

/**
 * The newest generation that `read` accepts.
 * @throws the newest one's error when neither is accepted; at once, any error that is not the file's fault: another code than
 * `bad-file`, too many open files, no permission.
 */
export async function openNewest<T>(path: string, read: ReadGeneration<T>): Promise<Opened<T>> {
  try {
    return { value: await read(path), generation: 'newest', path };
  } catch (refused) {
    if (!isDamaged(refused)) throw refused;
    const older = previousPath(path);
    try {
      return { value: await read(older), generation: 'previous', path: older, refused };
    } catch (error) {
      throw isDamaged(error) ? refused : error;
    }
  }
}

/**
 * Removes what killed saves of `path` left beside it. Only under the lock: a running save has such a file too.
 * @returns the names removed. @throws MlaLpError `bad-file` when the folder cannot be read or written.
 */
export async function sweep(path: string): Promise<readonly string[]> {
  const folder = dirname(path);
  try {
    const stale = (await readdir(folder)).filter((name) => isTemporaryOf(path, name));
    for (const name of stale) await rm(join(folder, name), { force: true });
    return stale;
  } catch (cause) {
    throw writeError(folder, cause);
  }
}
