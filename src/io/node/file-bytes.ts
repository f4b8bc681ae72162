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
      const bytes = new Uint8Array(kept.take(length) ?? new ArrayBuffer(length));
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
    async close() {
      kept.clear();
      await file.close();
    },
  };
}

/** Buffers by their exact size: the matrices of a model have few sizes, and a read's bytes fill their buffer. */
class SpareBuffers {
  #buffers: ArrayBuffer[] = [];
  #bytes = 0;

  take(size: number): ArrayBuffer | undefined {
    const at = this.#buffers.findIndex(({ byteLength }) => byteLength === size);
    if (at < 0) return undefined;
    this.#bytes -= size;
    return this.#buffers.splice(at, 1)[0];
  }

  put(buffer: ArrayBuffer): void {
    if (buffer.byteLength < LEAST_KEPT || buffer.byteLength > MOST_KEPT) return;
    this.#buffers.push(buffer);
    this.#bytes += buffer.byteLength;
    while (this.#bytes > MOST_KEPT) this.#bytes -= this.#buffers.shift()!.byteLength;
  }

  clear(): void {
    this.#buffers = [];
    this.#bytes = 0;
  }
}
