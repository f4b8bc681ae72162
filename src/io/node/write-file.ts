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

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done);
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

/**
 * Writes a file so that afterwards, and after a crash at any moment, either the old or the new one is there, whole:
 * a temporary file in the same folder, synced, then renamed. The temporary file is removed on failure. Only the user may read
 * the file: outputs and checkpoints come from patients' images.
 * @param chunks may also be streamed; their order is the file's.
 * @throws MlaLpError `bad-file` (disk full, no permission, ...); errors of `chunks` pass through.
 */
export async function writeFileAtomic(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      for await (const chunk of chunks) await writeAll(file, chunk);
      await file.sync();
    } finally {
      await file.close();
    }
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
