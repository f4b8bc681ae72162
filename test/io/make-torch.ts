/** Zip archives and pickles from parts, honest or lying: what the readers' tests are fed with. */
import { crc32 } from '../../src/runtime/crc32';

/** One entry; every field beyond name and data is a lie about them. */
export interface Part {
  readonly name: string;
  readonly data: Uint8Array | string;
  readonly crc?: number;
  /** In the central directory only. */
  readonly size?: number;
  readonly packed?: number;
  readonly at?: number;
  readonly flags?: number;
  readonly method?: number;
  /** In the local header only. */
  readonly localName?: string;
  readonly localSize?: number;
  readonly localMethod?: number;
  /** Sizes and place go into a 64-bit extra field. */
  readonly wide?: boolean;
}

export interface Ending {
  readonly count?: number;
  readonly comment?: Uint8Array;
  /** Writes the 64-bit records too; a function changes the record's bytes. */
  readonly wide?: boolean | ((record: Buffer, locator: Buffer) => void);
}

export function makeZip(parts: readonly Part[], ending: Ending = {}): Uint8Array<ArrayBuffer> {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let at = 0;
  for (const part of parts) {
    const data = Buffer.from(part.data as Uint8Array);
    const crc = part.crc ?? crc32(data);
    const name = Buffer.from(part.name);
    const localName = Buffer.from(part.localName ?? part.name);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(part.flags ?? 0, 6);
    local.writeUInt16LE(part.localMethod ?? part.method ?? 0, 8);
    local.writeUInt32LE(crc, 14);
    local.writeUInt32LE(part.localSize ?? data.length, 18);
    local.writeUInt32LE(part.localSize ?? data.length, 22);
    local.writeUInt16LE(localName.length, 26);
    const listed = Buffer.alloc(46);
    const size = part.size ?? data.length;
    const packed = part.packed ?? part.size ?? data.length;
    const extra = Buffer.alloc(part.wide ? 28 : 0);
    if (part.wide) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      extra.writeBigUInt64LE(BigInt(size), 4);
      extra.writeBigUInt64LE(BigInt(packed), 12);
      extra.writeBigUInt64LE(BigInt(part.at ?? at), 20);
    }
    listed.writeUInt32LE(0x02014b50, 0);
    listed.writeUInt16LE(part.flags ?? 0, 8);
    listed.writeUInt16LE(part.method ?? 0, 10);
    listed.writeUInt32LE(crc, 16);
    listed.writeUInt32LE(part.wide ? 0xffffffff : packed, 20);
    listed.writeUInt32LE(part.wide ? 0xffffffff : size, 24);
    listed.writeUInt16LE(name.length, 28);
    listed.writeUInt16LE(extra.length, 30);
    listed.writeUInt32LE(part.wide ? 0xffffffff : (part.at ?? at), 42);
    locals.push(local, localName, data);
    central.push(listed, name, extra);
    at += local.length + localName.length + data.length;
  }
  const directory = Buffer.concat(central);
  const count = ending.count ?? parts.length;
  const tail: Buffer[] = [];
  if (ending.wide) {
    const record = Buffer.alloc(56);
    record.writeUInt32LE(0x06064b50, 0);
    record.writeBigUInt64LE(44n, 4);
    record.writeBigUInt64LE(BigInt(count), 24);
    record.writeBigUInt64LE(BigInt(count), 32);
    record.writeBigUInt64LE(BigInt(directory.length), 40);
    record.writeBigUInt64LE(BigInt(at), 48);
    const locator = Buffer.alloc(20);
    locator.writeUInt32LE(0x07064b50, 0);
    locator.writeBigUInt64LE(BigInt(at + directory.length), 8);
    locator.writeUInt32LE(1, 16);
    if (typeof ending.wide === 'function') ending.wide(record, locator);
    tail.push(record, locator);
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(count & 0xffff, 8);
  end.writeUInt16LE(count & 0xffff, 10);
  if (count > 0xffff && ending.wide) end.fill(0xff, 8, 12);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(at, 16);
  end.writeUInt16LE(ending.comment?.length ?? 0, 20);
  return Uint8Array.from(
    Buffer.concat([...locals, directory, ...tail, end, ending.comment ?? Buffer.alloc(0)]),
  );
}

/** An instruction's bytes: numbers are bytes, strings are latin-1 text. */
export function ops(...parts: readonly (number | string | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(
    Buffer.concat(
      parts.map((part) =>
        typeof part === 'number'
          ? Buffer.of(part)
          : typeof part === 'string'
            ? Buffer.from(part, 'latin1')
            : Buffer.from(part),
      ),
    ),
  );
}

/** BINUNICODE, BININT. */
export function text(value: string): Uint8Array {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return ops('X', length, bytes);
}
export function int(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return ops('J', bytes);
}
/** An integer of eight bytes. */
export function long(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return ops(0x8a, 8, bytes);
}
export function tuple(...items: readonly Uint8Array[]): Uint8Array {
  return ops('(', ...items, 't');
}
export function dict(entries: Record<string, Uint8Array>): Uint8Array {
  return ops('}', '(', ...Object.entries(entries).flatMap(([key, value]) => [text(key), value]), 'u');
}
export function pickle(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return ops(0x80, 2, ...parts, '.');
}

export interface TensorParts {
  readonly type?: string;
  readonly key?: string;
  readonly length: number;
  readonly offset?: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  /** `torch.float32` and so on: written as _rebuild_tensor_v3 does. */
  readonly dtype?: string;
}

/** The call that makes a tensor. */
export function tensor(parts: TensorParts): Uint8Array {
  const { type = 'FloatStorage', key = '0', length, offset = 0, shape, strides, dtype } = parts;
  const sizes = (values: readonly number[]) => tuple(...values.map((value) => long(BigInt(value))));
  const storage = ops(
    tuple(
      text('storage'),
      ops(type === 'UntypedStorage' ? 'ctorch.storage\n' : 'ctorch\n', type, '\n'),
      text(key),
      text('cpu'),
      int(length),
    ),
    'Q',
  );
  return ops(
    `ctorch._utils\n_rebuild_tensor_v${dtype ? 3 : 2}\n`,
    tuple(
      storage,
      int(offset),
      sizes(shape),
      sizes(strides),
      ops(0x89),
      ops('ccollections\nOrderedDict\n', ')R'),
      ...(dtype ? [ops(`c${dtype.replace('.', '\n')}\n`)] : []),
    ),
    'R',
  );
}

/** A file of torch.save: the pickle and `data/N` entries. */
export function makeTorch(
  data: Uint8Array,
  storages: Record<string, Uint8Array> = {},
  more: readonly Part[] = [],
): Uint8Array<ArrayBuffer> {
  return makeZip([
    { name: 'archive/data.pkl', data },
    ...more,
    ...Object.entries(storages).map(([key, bytes]) => ({ name: `archive/data/${key}`, data: bytes })),
  ]);
}
