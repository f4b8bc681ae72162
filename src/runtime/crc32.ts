/** CRC-32 as zip and PNG have it. It stands here because data and io both read checksummed files and import no other. */

let table: Uint32Array | undefined;

/** Part t (256 values) advances a byte's effect by t further zero bytes. */
function crcTable(): Uint32Array {
  const all = new Uint32Array(8 * 256);
  for (let i = 0; i < all.length; i++) {
    const before = all[i - 256] ?? 0;
    let c = i < 256 ? i : (before >>> 8) ^ all[before & 255]!;
    for (let bit = 0; bit < 8 && i < 256; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    all[i] = c;
  }
  return all;
}

type Crc32 = (bytes: Uint8Array, crc?: number) => number;

const { process: host } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
/** zlib's, some four times as fast: Node has it from 20.16 on, browsers have none. */
const native = (host?.getBuiltinModule?.('node:zlib') as { readonly crc32?: Crc32 } | undefined)?.crc32;

/** CRC-32 (polynomial 0xEDB88320). @param crc the result over the bytes before these. */
export const crc32: Crc32 = native ?? crc32InScript;

/** The same without zlib. */
export function crc32InScript(bytes: Uint8Array, crc = 0): number {
  table ??= crcTable();
  const t = table;
  let c = ~crc;
  let i = 0;
  // Eight bytes a step: a checkpoint of 1 GB passes through here.
  for (const last = bytes.length - 8; i <= last; i += 8) {
    c ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    c =
      t[1792 + (c & 255)]! ^
      t[1536 + ((c >>> 8) & 255)]! ^
      t[1280 + ((c >>> 16) & 255)]! ^
      t[1024 + (c >>> 24)]! ^
      t[768 + bytes[i + 4]!]! ^
      t[512 + bytes[i + 5]!]! ^
      t[256 + bytes[i + 6]!]! ^
      t[bytes[i + 7]!]!;
  }
  for (; i < bytes.length; i++) c = (c >>> 8) ^ t[(c ^ bytes[i]!) & 255]!;
  return ~c >>> 0;
}
