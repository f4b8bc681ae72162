export interface TarEntry {
  readonly name: string;
  readonly data: Uint8Array;
  /** ustar type flag; a regular file unless told. */
  readonly type?: string;
  readonly prefix?: string;
  /** Lies for tests of a reader. */
  readonly size?: number;
  readonly sizeText?: string;
  readonly checksum?: number;
}

/** Writes a ustar archive, lies included. */
export function tarOf(entries: readonly TarEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const entry of entries) {
    const header = new Uint8Array(512);
    const put = (at: number, text: string) => header.set(new TextEncoder().encode(text), at);
    const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0');
    put(0, entry.name);
    put(100, '0000600\0');
    put(124, `${entry.sizeText ?? octal(entry.size ?? entry.data.length, 11)}\0`);
    put(136, `${octal(0, 11)}\0`);
    put(148, ' '.repeat(8));
    put(156, entry.type ?? '0');
    put(257, 'ustar\x0000');
    put(345, entry.prefix ?? '');
    const sum = header.reduce((total, byte) => total + byte, 0);
    put(148, `${octal(entry.checksum ?? sum, 6)}\0 `);
    parts.push(header, entry.data, new Uint8Array((512 - (entry.data.length % 512)) % 512));
  }
  parts.push(new Uint8Array(1024));
  const archive = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    archive.set(part, at);
    at += part.length;
  }
  return archive;
}
