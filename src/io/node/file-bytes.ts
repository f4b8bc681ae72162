import { stat as lookAt, open } from 'node:fs/promises';
import { BadFileError } from '../../runtime/errors';
import { type ByteSource, checkRange } from '../bytes';

/** Buffers below this size are cheaper made anew. */
const LEAST_KEPT = 256 * 1024;
/** Kept for later reads at most, bytes. */
const MOST_KEPT = 64 * 1024 * 1024;

/** Opens a file for reading by range. @throws BadFileError when it is no readable file. */
export async function fileBytes(path: string): Promise<ByteSource> {
  const failed = (cause: unknown, what: string) =>
    new BadFileError(
      path,
      `${what} (${(cause as NodeJS.ErrnoException).code})`,
      'Check the path and its permissions.',
      undefined,
      {
        cause,
      },
    );
  const unopened = (cause: unknown): never => {
    throw failed(cause, 'it cannot be opened');
  };
  // Before it is opened: opening a pipe waits for a writer.
  if (!(await lookAt(path).catch(unopened)).isFile()) {
    throw new BadFileError(path, 'it is not a file', 'Give the path of a file.');
  }
  const file = await open(path, 'r').catch(unopened);
  const stat = await file.stat();
  const kept = new SpareBuffers();
  return {
    label: path,
    size: stat.size,
    async read(offset, length) {
      checkRange(path, stat.size, offset, length);
      const bytes = new Uint8Array(kept.take(length));
      let done = 0;
      while (done < length) {
        const { bytesRead } = await file
          .read(bytes, done, length - done, offset + done)
          .catch((cause: unknown) => {
            throw failed(cause, 'it cannot be read');
          });
        if (bytesRead === 0)
          throw new BadFileError(path, 'it became shorter while it was read', undefined, offset + done);
        done += bytesRead;
      }
      return bytes;
    },
    recycle: (buffer) => kept.put(buffer),
    trim: () => kept.clear(),
    async close() {
      kept.clear();
      await file.close();
    },
  };
}

/** Buffers by their exact size: the matrices of a model have few sizes, and a read's bytes fill their buffer. */
class SpareBuffers {
  /** Buffers that reads filled and nobody gave back; no other is taken back, and none twice. */
  readonly #given = new WeakSet<ArrayBuffer>();
  #spare: ArrayBuffer[] = [];
  #bytes = 0;

  /** A new buffer where there is no spare one. */
  take(size: number): ArrayBuffer {
    const at = this.#spare.findIndex(({ byteLength }) => byteLength === size);
    const [buffer = new ArrayBuffer(size)] = at < 0 ? [] : this.#spare.splice(at, 1);
    if (at >= 0) this.#bytes -= size;
    this.#given.add(buffer);
    return buffer;
  }

  put(buffer: ArrayBuffer): void {
    const { byteLength } = buffer;
    if (!this.#given.delete(buffer) || byteLength < LEAST_KEPT || byteLength > MOST_KEPT) return;
    this.#spare.push(buffer);
    this.#bytes += byteLength;
    while (this.#bytes > MOST_KEPT) this.#bytes -= this.#spare.shift()!.byteLength;
  }

  clear(): void {
    this.#spare = [];
    this.#bytes = 0;
  }
}
