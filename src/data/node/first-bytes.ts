import { open, stat } from 'node:fs/promises';

/** The first bytes of a file, fewer where it is shorter; none of what is no file or cannot be read. Node only. */
export async function firstBytes(path: string, count: number): Promise<Uint8Array> {
  try {
    // Before it is opened: opening a named pipe would wait for a writer.
    if (!(await stat(path)).isFile()) return new Uint8Array(0);
    const handle = await open(path, 'r');
    try {
      const { buffer, bytesRead } = await handle.read(new Uint8Array(count), 0, count, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch {
    return new Uint8Array(0);
  }
}
