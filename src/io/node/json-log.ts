/** A log of training: JSON Lines, one object a step, that goes on where a killed run left off. */
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { writeAll, writeError, writeFileAtomic } from './write-file';

export interface JsonLog {
  /**
   * Writes the object as one line. Calls queue up.
   * @throws MlaLpError `bad-file` (disk full, ...): the line is then not there, nor a part of it.
   */
  append(entry: object): Promise<void>;
  /** Waits for lines under way and makes all durable. Calling it again does nothing. @throws MlaLpError `bad-file` */
  close(): Promise<void>;
}

const NEWLINE = 0x0a;

/** Lines without their ends; also the last one, where its end is missing. */
function* linesOf(bytes: Uint8Array): Generator<Uint8Array> {
  let begin = 0;
  while (begin < bytes.length) {
    const found = bytes.indexOf(NEWLINE, begin);
    const end = found < 0 ? bytes.length : found;
    yield bytes.subarray(begin, end);
    begin = end + 1;
  }
}

function stepOf(line: Uint8Array): number | undefined {
  try {
    const { step } = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line)) as { step?: unknown };
    return typeof step === 'number' ? step : undefined;
  } catch {
    // Torn, or a disk's garbage after a crash.
    return undefined;
  }
}

/** The lines up to the step, byte for byte, each with its end. */
async function* keptLines(path: string, upTo: number): AsyncGenerator<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw cause;
  }
  const kept: Uint8Array[] = [];
  for (const line of linesOf(bytes))
    if ((stepOf(line) ?? Infinity) <= upTo) kept.push(line, Uint8Array.of(NEWLINE));
  yield Buffer.concat(kept);
}

class FileLog implements JsonLog {
  /** Never rejects. */
  #last: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | undefined;

  constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    /** Bytes in whole lines. */
    private size: number,
  ) {}

  append(entry: object): Promise<void> {
    const line = new TextEncoder().encode(`${JSON.stringify(entry)}\n`);
    const written = this.#last.then(() => this.#write(line));
    this.#last = written.catch(() => {});
    return written;
  }

  async #write(line: Uint8Array): Promise<void> {
    try {
      await writeAll(this.file, line, this.size);
      this.size += line.length;
    } catch (cause) {
      // The next line must not begin behind half a line.
      await this.file.truncate(this.size).catch(() => {});
      throw writeError(this.path, cause);
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#last.then(() => this.#finish());
    return this.#closed;
  }

  async #finish(): Promise<void> {
    try {
      try {
        await this.file.sync();
      } finally {
        await this.file.close();
      }
    } catch (cause) {
      throw writeError(this.path, cause);
    }
  }
}

/**
 * Opens a log for appending; only the user may read it. What was there is replaced, or, with `keepUpToStep`, kept exactly in those
 * lines whose `step` is a number not above it: a run that resumes at this step writes the later ones again. Torn lines, and
 * lines without a step, go. The file is rewritten atomically.
 * @param options.keepUpToStep the last step that the resumed state contains.
 * @throws MlaLpError `bad-file` when the file cannot be read or written.
 */
export async function openLog(path: string, options: { keepUpToStep?: number } = {}): Promise<JsonLog> {
  const { keepUpToStep } = options;
  await writeFileAtomic(path, keepUpToStep === undefined ? [] : keptLines(path, keepUpToStep));
  try {
    const file = await open(path, 'r+');
    return new FileLog(path, file, (await file.stat()).size);
  } catch (cause) {
    throw writeError(path, cause);
  }
}
