/** Random access to a file's bytes, wherever it lies. */
import { BadFileError } from '../runtime/errors';

export interface ByteSource {
  /** What messages call it: a file name or URL. */
  readonly label: string;
  /** Bytes in all. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset` on, in a buffer of their own.
   * @throws BadFileError when the range is not inside the file or cannot be read.
   */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Takes back the buffer of an earlier read, for later ones to fill. Nobody else may use it any more; other buffers are left alone. */
  recycle?(buffer: ArrayBuffer): void;
  /** Frees what was taken back. */
  trim?(): void;
  close(): Promise<void>;
}

/** @throws BadFileError unless [offset, offset + length) lies inside `size` bytes. */
export function checkRange(label: string, size: number, offset: number, length: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!whole || offset + length > size) {
    throw new BadFileError(label, `it ends after ${size} bytes, but ${length} are wanted`, undefined, offset);
  }
}

/** The bytes of a Blob or of a File that a user chose: read slice by slice, never whole. */
export function blobBytes(blob: Blob, label: string): ByteSource {
  return {
    label,
    size: blob.size,
    async read(offset, length) {
      checkRange(label, blob.size, offset, length);
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (cause) {
        throw new BadFileError(label, 'it cannot be read any more', 'Choose the file again.', offset, {
          cause,
        });
      }
    },
    async close() {},
  };
}

/** Bytes that are in memory already. */
export function memoryBytes(bytes: Uint8Array, label: string): ByteSource {
  return {
    label,
    size: bytes.length,
    async read(offset, length) {
      checkRange(label, bytes.length, offset, length);
      return Uint8Array.from(bytes.subarray(offset, offset + length));
    },
    async close() {},
  };
}
