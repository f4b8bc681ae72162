import { stat as lookAt, open } from 'node:fs/promises';
import { BadFileError } from '../../runtime/errors';
import { type ByteSource, checkRange } from '../bytes';

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
  return {
    label: path,
    size: stat.size,
    async read(offset, length) {
      checkRange(path, stat.size, offset, length);
      const bytes = new Uint8Array(length);
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
    async close() {
      await file.close();
    },
  };
}
