import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { MlaLpError } from '../../runtime/errors';

const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'Free some space on the disk, or write elsewhere.',
  EDQUOT: 'Free some of your quota, or write elsewhere.',
  EACCES: 'Choose a folder that you may write to.',
  EPERM: 'Choose a folder that you may write to.',
  EROFS: 'The disk is read-only; write elsewhere.',
  ENOENT: 'Create the folder first.',
  ENOTDIR: 'A part of the path is a file; choose another path.',
  EISDIR: 'The path is a folder; give the name of a file.',
  EMFILE: 'Too many files are open; raise the limit (ulimit -n).',
  EIO: 'The disk reports an error; write elsewhere.',
};

/** What is thrown when writing `path` fails: MlaLpError with a remedy where the system gave a reason, else the cause itself. */
export function writeError(path: string, cause: unknown): unknown {
  const code = (cause as NodeJS.ErrnoException | null)?.code;
  if (cause instanceof MlaLpError || code === undefined) return cause;
  const remedy = REMEDIES[code] ?? 'Check the path and the disk.';
  return new MlaLpError('bad-file', `${path}: it cannot be written (${code}).`, remedy, { cause });
}

/** All of the bytes, however many calls that takes; at `position` (bytes), else where the file stands. */
export async function writeAll(file: FileHandle, bytes: Uint8Array, position?: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const at = position === undefined ? null : position + done;
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at);
    done += bytesWritten;
  }
}

/** The rename itself is durable only once the folder is; Windows keeps folders safe by itself and opens none. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A name beside `path` that nothing else has. What a killed process leaves under it is known by `isTemporaryOf`. */
export function temporaryPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
}

/** Whether a file of this name is a temporary one of `path`, in the same folder. */
export function isTemporaryOf(path: string, name: string): boolean {
  const start = `.${basename(path)}.`;
  return name.startsWith(start) && /^[0-9a-f]{12}\.tmp$/.test(name.slice(start.length));
}

/**
 * Writes a file so that afterwards, and after a crash at any moment, either the old or the new one is there, whole:
 * a temporary file in the same folder, synced, then renamed. The temporary file is removed on failure. Only the user may read
 * the file: outputs and checkpoints come from patients' images.
 * @param chunks may also be streamed; their order is the file's.
 * @param beforeRename runs when the new file is whole and durable, and the old one still in its place.
 * @throws MlaLpError `bad-file` (disk full, no permission, ...); errors of `chunks` pass through.
 */
export async function writeFileAtomic(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  beforeRename?: () => Promise<void>,
): Promise<void> {
  const folder = dirname(path);
  const temporary = temporaryPath(path);
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      for await (const chunk of chunks) await writeAll(file, chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await beforeRename?.();
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {});
    throw writeError(path, cause);
  }
  await syncFolder(folder).catch((cause: unknown) => {
    throw writeError(path, cause);
  });
}

/** Makes a folder and proves that files can be written there, before long work begins. @throws MlaLpError `bad-file` */
export async function ensureWritableFolder(folder: string): Promise<void> {
  const probe = join(folder, `.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await mkdir(folder, { recursive: true });
    await (await open(probe, 'wx')).close();
    await rm(probe);
  } catch (cause) {
    throw writeError(folder, cause);
  }
}
