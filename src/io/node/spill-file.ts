/** Spilled activations in a temporary file. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Spill } from '../../model/spill';
import { BadFileError, ShapeError } from '../../runtime/errors';
import { writeAll, writeError } from './write-file';

/** Elsewhere the file's name goes at once, and its space with the process, however that ends. */
const NAME_STAYS = process.platform === 'win32';

class FileSpill implements Spill {
  /** A file has zeros where nothing was written; they must not pass for activations. */
  readonly #written = new Set<number>();
  #closed: Promise<void> | undefined;

  constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    private readonly entryBytes: number,
  ) {}

  async write(index: number, bytes: Uint8Array): Promise<void> {
    if (!Number.isInteger(index) || index < 0 || !Number.isSafeInteger(index * this.entryBytes))
      throw new ShapeError(`There is no entry ${index} in a file of entries.`);
    if (bytes.length !== this.entryBytes)
      throw new ShapeError(`Entry ${index} has ${bytes.length} bytes, entries take ${this.entryBytes}.`);
    // Half of a new entry over an old one is neither.
    this.#written.delete(index);
    try {
      await writeAll(this.file, bytes, index * this.entryBytes);
    } catch (cause) {
      throw writeError(this.path, cause);
    }
    this.#written.add(index);
  }

  async read(index: number): Promise<Uint8Array<ArrayBuffer>> {
    if (!this.#written.has(index)) throw new BadFileError(this.path, `entry ${index} was never written`, '');
    const bytes = new Uint8Array(this.entryBytes);
    const base = index * this.entryBytes;
    let done = 0;
    while (done < bytes.length) {
      const { bytesRead } = await this.file
        .read(bytes, done, bytes.length - done, base + done)
        .catch((cause: NodeJS.ErrnoException) => {
          const remedy = 'Use another disk (TMPDIR) and start again.';
          throw new BadFileError(this.path, `it cannot be read (${cause.code})`, remedy, base + done, {
            cause,
          });
        });
      if (bytesRead === 0)
        throw new BadFileError(this.path, `entry ${index} ends too early`, 'Start again.', base + done);
      done += bytesRead;
    }
    return bytes;
  }

  close(): Promise<void> {
    this.#written.clear();
    this.#closed ??= this.file.close().then(() => (NAME_STAYS ? rm(this.path, { force: true }) : undefined));
    return this.#closed;
  }
}

/**
 * A spill in a new file that only the user may read: activations come from patients' images. Outside Windows it has no name from
 * the start, so that not even SIGKILL leaves it; on Windows `close` removes it.
 * @param folder the system's folder for temporary files unless given.
 * @param entryBytes size of every entry, bytes.
 * @throws MlaLpError `bad-file` when no file can be made there, later when the disk is full.
 */
export async function fileSpill(folder: string | undefined, entryBytes: number): Promise<Spill> {
  if (!Number.isSafeInteger(entryBytes) || entryBytes < 1)
    throw new ShapeError(`An entry of ${entryBytes} bytes cannot be spilled.`);
  const path = join(folder ?? tmpdir(), `mla-lp-spill-${randomBytes(8).toString('hex')}.tmp`);
  try {
    const file = await open(path, 'wx+', 0o600);
    try {
      if (!NAME_STAYS) await rm(path);
    } catch (cause) {
      await file.close();
      throw cause;
    }
    return new FileSpill(path, file, entryBytes);
  } catch (cause) {
    throw writeError(path, cause);
  }
}
