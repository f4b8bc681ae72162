/** One regular file of an archive. `bytes` is a view into the archive. */
export interface TarFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const BLOCK = 512;
const PLAIN_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,98}$/;

/**
 * Reads a flat ustar archive: regular files with plain names, nothing else. Folders, links, path separators, long-name
 * extensions, repeated names, wrong checksums and short files throw, so that nothing odd can reach a file system.
 */
export function readFlatTar(archive: Uint8Array): TarFile[] {
  const files = new Map<string, TarFile>();
  let at = 0;
  while (at + BLOCK <= archive.length) {
    const header = archive.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) return [...files.values()];
    const name = text(header, 0, 100);
    if (octal(header, 148, 8) !== checksum(header)) throw new Error(`tar: wrong checksum at byte ${at}`);
    const type = text(header, 156, 1);
    if (type !== '0' && type !== '') throw new Error(`tar: entry ${quoted(name)} is no regular file`);
    // Bytes 345.. hold a path prefix: a flat archive has none.
    if (!PLAIN_NAME.test(name) || header[345] !== 0) throw new Error(`tar: refused name ${quoted(name)}`);
    if (files.has(name)) throw new Error(`tar: ${quoted(name)} appears twice`);
    const size = octal(header, 124, 12);
    const start = at + BLOCK;
    if (start + size > archive.length) throw new Error(`tar: ${quoted(name)} is cut short`);
    files.set(name, { name, bytes: archive.subarray(start, start + size) });
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  throw new Error('tar: the archive ends without its closing block');
}

function text(header: Uint8Array, from: number, length: number): string {
  const field = header.subarray(from, from + length);
  const end = field.indexOf(0);
  return new TextDecoder('latin1').decode(end < 0 ? field : field.subarray(0, end));
}

function octal(header: Uint8Array, from: number, length: number): number {
  const digits = text(header, from, length).trim();
  if (!/^[0-7]+$/.test(digits)) throw new Error('tar: a number field is not octal');
  return Number.parseInt(digits, 8);
}

/** Sum of the header's bytes with the checksum field itself read as spaces. */
function checksum(header: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : header[i]!;
  return sum;
}

const quoted = (name: string) => JSON.stringify(name);
