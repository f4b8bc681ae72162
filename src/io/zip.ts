/** Random access to the entries of a zip archive as PyTorch writes them: stored, never inflated, one meaning only. */
import { crc32 } from '../runtime/crc32';
import { BadFileError } from '../runtime/errors';
import type { ByteSource } from './bytes';
import { shownName } from './safetensors-header';

export interface ZipEntry {
  readonly name: string;
  /** Bytes of the entry's content. */
  readonly size: number;
}

export interface ZipArchive {
  readonly label: string;
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /**
   * Where a stored entry's bytes lie in the file.
   * @throws BadFileError when the entry is compressed or its local header contradicts the central directory.
   */
  range(entry: ZipEntry): Promise<{ offset: number; length: number }>;
  /**
   * Bytes [start, start + length) of a stored entry. Reads that follow each other from the entry's first byte to its last
   * are checked against its CRC-32, however many they are; CRC 0 means that the writer computed none.
   * @throws BadFileError
   */
  read(entry: ZipEntry, start: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** The whole entry, its CRC-32 checked. @throws BadFileError also when it is larger than `limit` bytes. */
  readAll(entry: ZipEntry, limit: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** What the central directory says of an entry. */
interface Listed extends ZipEntry {
  readonly stored: boolean;
  readonly packed: number;
  readonly crc: number;
  readonly flags: number;
  /** Of the local header. */
  readonly at: number;
  /** Of the next local header, or of the central directory: the content ends before. */
  limit: number;
}

const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;

const END_SIZE = 22;
const MAX_COMMENT = 0xffff;
const LOCATOR_SIZE = 20;
const END_64_SIZE = 56;
const CENTRAL_SIZE = 46;
const LOCAL_SIZE = 30;

/** Flag bits: encrypted, strong encryption, encrypted directory. */
const ENCRYPTED = 0x2041;
/** Sizes and CRC follow the content. */
const DESCRIPTOR = 0x0008;

/** A ViT-L has some 450 storages; far more only cost time and memory. */
const MAX_DIRECTORY = 32 * 2 ** 20;

/** Reads the directory; contents are read on demand. @throws BadFileError for anything but one plain archive. */
export async function openZip(bytes: ByteSource): Promise<ZipArchive> {
  const end = await findEnd(bytes);
  const listed = await readDirectory(bytes, end);
  return new Archive(bytes, listed);
}

class Archive implements ZipArchive {
  readonly label: string;
  /** Where contents begin, for entries whose local header was read. */
  readonly #begins = new Map<string, number>();
  /** CRC-32 of the entry's bytes up to `next`, where they were read in order. */
  readonly #running = new Map<string, { next: number; crc: number }>();

  constructor(
    readonly bytes: ByteSource,
    readonly entries: ReadonlyMap<string, Listed>,
  ) {
    this.label = bytes.label;
  }

  async range(entry: ZipEntry): Promise<{ offset: number; length: number }> {
    const listed = this.entries.get(entry.name)!;
    let offset = this.#begins.get(entry.name);
    if (offset === undefined) {
      offset = await localContent(this.bytes, listed);
      this.#begins.set(entry.name, offset);
    }
    return { offset, length: listed.size };
  }

  async read(entry: ZipEntry, start: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const { offset } = await this.range(entry);
    if (start + length > entry.size) {
      const fact = `its entry ${shownName(entry.name)} has ${entry.size} bytes, but ${start + length} are wanted`;
      throw new BadFileError(this.label, fact, undefined, offset);
    }
    const content = await this.bytes.read(offset + start, length);
    this.#follow(entry, start, content, offset);
    return content;
  }

  async readAll(entry: ZipEntry, limit: number): Promise<Uint8Array<ArrayBuffer>> {
    if (entry.size > limit) {
      const fact = `its entry ${shownName(entry.name)} has ${entry.size} bytes, more than the ${limit} that make sense`;
      throw new BadFileError(this.label, fact);
    }
    return this.read(entry, 0, entry.size);
  }

  #follow(entry: ZipEntry, start: number, content: Uint8Array, offset: number): void {
    const expected = this.entries.get(entry.name)!.crc;
    const before = start === 0 ? { next: 0, crc: 0 } : this.#running.get(entry.name);
    if (expected === 0 || before?.next !== start) return;
    const next = start + content.length;
    const crc = crc32(content, before.crc);
    if (next < entry.size) {
      this.#running.set(entry.name, { next, crc });
      return;
    }
    this.#running.delete(entry.name);
    if (crc !== expected) {
      const fact = `its entry ${shownName(entry.name)} is damaged: CRC-32 ${hex(crc)} instead of ${hex(expected)}`;
      throw new BadFileError(this.label, fact, undefined, offset);
    }
  }
}

interface Directory {
  readonly count: number;
  readonly at: number;
  readonly size: number;
}

async function findEnd(bytes: ByteSource): Promise<Directory> {
  const { label, size } = bytes;
  const tailSize = Math.min(size, END_SIZE + MAX_COMMENT);
  const base = size - tailSize;
  const tail = view(await bytes.read(base, tailSize));
  const found: number[] = [];
  for (let at = tailSize - END_SIZE; at >= 0; at--) {
    if (tail.getUint32(at, true) !== END) continue;
    if (at + END_SIZE + tail.getUint16(at + 20, true) === tailSize) found.push(at);
  }
  const [at] = found;
  if (at === undefined) throw new BadFileError(label, 'it is cut short: no zip directory ends it');
  if (found.length > 1) throw new BadFileError(label, 'it has two zip directories', undefined, base + at);
  const fail = (fact: string): never => {
    throw new BadFileError(label, fact, undefined, base + at);
  };
  const small = {
    disk: tail.getUint16(at + 4, true),
    directoryDisk: tail.getUint16(at + 6, true),
    here: tail.getUint16(at + 8, true),
    count: tail.getUint16(at + 10, true),
    size: tail.getUint32(at + 12, true),
    at: tail.getUint32(at + 16, true),
  };
  const locatorAt = base + at - LOCATOR_SIZE;
  const locator = locatorAt >= 0 ? view(await bytes.read(locatorAt, LOCATOR_SIZE)) : undefined;
  let [directory, stop]: [Directory, number] = [small, base + at];
  if (locator?.getUint32(0, true) === LOCATOR_64) {
    stop = Number(locator.getBigUint64(8, true));
    if (locator.getUint32(4, true) !== 0 || locator.getUint32(16, true) > 1) fail('it is a part of several');
    directory = await readEnd64(bytes, stop, locatorAt);
    const agree = (short: number, sentinel: number, long: number) => short === sentinel || short === long;
    if (
      !agree(small.count, 0xffff, directory.count) ||
      !agree(small.size, 0xffffffff, directory.size) ||
      !agree(small.at, 0xffffffff, directory.at)
    )
      fail('its two zip directory records contradict each other');
  } else {
    if (small.count === 0xffff || small.size === 0xffffffff || small.at === 0xffffffff)
      fail('its 64-bit zip directory record is missing');
    if (small.disk !== 0 || small.directoryDisk !== 0 || small.here !== small.count)
      fail('it is a part of several');
  }
  if (directory.at + directory.size !== stop)
    fail(`its zip directory of ${directory.size} bytes at ${directory.at} does not end at ${stop}`);
  if (directory.size > MAX_DIRECTORY || directory.count * CENTRAL_SIZE > directory.size)
    fail(`its zip directory claims ${directory.count} entries in ${directory.size} bytes`);
  return directory;
}

/** The zip64 record at `at`, which must end where its locator begins. */
async function readEnd64(bytes: ByteSource, at: number, locatorAt: number): Promise<Directory> {
  const fail = (fact: string): never => {
    throw new BadFileError(bytes.label, fact, undefined, locatorAt);
  };
  if (at > locatorAt - END_64_SIZE) fail('its 64-bit zip directory record lies outside');
  const record = view(await bytes.read(at, END_64_SIZE));
  const long = (offset: number) => Number(record.getBigUint64(offset, true));
  if (record.getUint32(0, true) !== END_64 || at + 12 + long(4) !== locatorAt)
    fail('its 64-bit zip directory record is not where it should be');
  if (record.getUint32(16, true) !== 0 || record.getUint32(20, true) !== 0 || long(24) !== long(32))
    fail('it is a part of several');
  return { count: long(32), size: long(40), at: long(48) };
}

async function readDirectory(bytes: ByteSource, directory: Directory): Promise<Map<string, Listed>> {
  const { label } = bytes;
  const data = view(await bytes.read(directory.at, directory.size));
  const names = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const entries = new Map<string, Listed>();
  let at = 0;
  for (let i = 0; i < directory.count; i++) {
    const here = directory.at + at;
    const fail = (fact: string): never => {
      throw new BadFileError(label, fact, undefined, here);
    };
    if (at + CENTRAL_SIZE > directory.size || data.getUint32(at, true) !== CENTRAL)
      fail(`its zip directory ends after ${i} of ${directory.count} entries`);
    const nameSize = data.getUint16(at + 28, true);
    const extraSize = data.getUint16(at + 30, true);
    const next = at + CENTRAL_SIZE + nameSize + extraSize + data.getUint16(at + 32, true);
    if (next > directory.size) fail(`its zip directory ends after ${i} of ${directory.count} entries`);
    const nameAt = at + CENTRAL_SIZE;
    let name = '';
    try {
      name = names.decode(new Uint8Array(data.buffer, data.byteOffset + nameAt, nameSize));
    } catch {
      fail('an entry has a name that is no UTF-8');
    }
    if (!plainPath(name)) fail(`its entry ${shownName(name)} has a name that leaves the archive`);
    if (entries.has(name)) fail(`it holds the entry ${shownName(name)} twice`);
    const flags = data.getUint16(at + 8, true);
    if (flags & ENCRYPTED) fail(`its entry ${shownName(name)} is encrypted`);
    const sizes = { size: data.getUint32(at + 24, true), packed: data.getUint32(at + 20, true) };
    const place = { at: data.getUint32(at + 42, true) };
    const disk = data.getUint16(at + 34, true);
    if (disk !== 0 && disk !== 0xffff) fail('it is a part of several');
    if (!widen64(data, nameAt + nameSize, extraSize, sizes, place))
      fail(`the 64-bit sizes of its entry ${shownName(name)} are missing`);
    const stored = data.getUint16(at + 10, true) === 0;
    if (stored && sizes.size !== sizes.packed)
      fail(`its entry ${shownName(name)} claims ${sizes.size} bytes, but stores ${sizes.packed}`);
    const crc = data.getUint32(at + 16, true);
    entries.set(name, { name, ...sizes, ...place, stored, crc, flags, limit: directory.at });
    at = next;
  }
  if (at !== directory.size)
    throw new BadFileError(
      label,
      `its zip directory holds more than the ${directory.count} entries that it claims`,
      undefined,
      directory.at + at,
    );
  checkOverlaps(label, [...entries.values()]);
  return entries;
}

/** Takes over the zip64 extra field's values where the 32-bit ones are all ones. Gives false if one is not there. */
function widen64(
  data: DataView,
  from: number,
  length: number,
  sizes: { size: number; packed: number },
  place: { at: number },
): boolean {
  const missing = () => sizes.size === 0xffffffff || sizes.packed === 0xffffffff || place.at === 0xffffffff;
  if (!missing()) return true;
  for (let at = from; at + 4 <= from + length; ) {
    const end = at + 4 + data.getUint16(at + 2, true);
    if (end > from + length) return false;
    if (data.getUint16(at, true) === 1) {
      let cursor = at + 4;
      const take = (short: number) => {
        if (short !== 0xffffffff) return short;
        if (cursor + 8 > end) return Number.NaN;
        cursor += 8;
        return Number(data.getBigUint64(cursor - 8, true));
      };
      sizes.size = take(sizes.size);
      sizes.packed = take(sizes.packed);
      place.at = take(place.at);
      return [sizes.size, sizes.packed, place.at].every(Number.isSafeInteger);
    }
    at = end;
  }
  return false;
}

/** A relative path without `..`: nothing here unpacks to disk, but such an archive was made to harm. */
function plainPath(name: string): boolean {
  if (name === '' || /^[/\\]|^[a-z]:|\0|\\/i.test(name)) return false;
  return !name.split('/').includes('..');
}

function checkOverlaps(label: string, entries: Listed[]): void {
  entries.sort((a, b) => a.at - b.at);
  for (const [i, entry] of entries.entries()) {
    entry.limit = entries[i + 1]?.at ?? entry.limit;
    // The local header's name is as long as ours (checked when the entry is read), its extra field may be longer.
    if (entry.at + LOCAL_SIZE + entry.packed > entry.limit) {
      const fact = `its entry ${shownName(entry.name)} of ${entry.packed} bytes overlaps what follows`;
      throw new BadFileError(label, fact, undefined, entry.at);
    }
  }
}

/** Checks the local header; gives the offset of the content. */
async function localContent(bytes: ByteSource, entry: Listed): Promise<number> {
  const fail = (fact: string, remedy?: string): never => {
    throw new BadFileError(bytes.label, `its entry ${shownName(entry.name)} ${fact}`, remedy, entry.at);
  };
  if (!entry.stored)
    fail('is compressed', 'Save it again with torch.save, which stores entries as they are.');
  const name = new TextEncoder().encode(entry.name);
  const header = view(await bytes.read(entry.at, LOCAL_SIZE));
  if (header.getUint32(0, true) !== LOCAL) fail('is not where the zip directory says');
  const nameSize = header.getUint16(26, true);
  const content = entry.at + LOCAL_SIZE + nameSize + header.getUint16(28, true);
  if (content + entry.size > entry.limit) fail(`of ${entry.size} bytes overlaps what follows`);
  const own = nameSize === name.length ? await bytes.read(entry.at + LOCAL_SIZE, nameSize) : undefined;
  if (!own?.every((byte, i) => byte === name[i])) fail('has another name in its own header');
  const flags = header.getUint16(6, true);
  if (flags & ENCRYPTED) fail('is encrypted');
  if (header.getUint16(8, true) !== 0) fail('is compressed by its own header, but not in the zip directory');
  // Where sizes follow the content or are in a zip64 field, the header's own are 0 or all ones.
  const claims = [
    [header.getUint32(14, true), entry.crc],
    [header.getUint32(18, true), entry.packed],
    [header.getUint32(22, true), entry.size],
  ] as const;
  for (const [own32, listed] of claims) {
    const open = own32 === 0xffffffff || (own32 === 0 && (flags & DESCRIPTOR) !== 0);
    if (own32 !== listed && !open) fail('has a size or checksum that its own header contradicts');
  }
  return content;
}

function view(bytes: Uint8Array<ArrayBuffer>): DataView<ArrayBuffer> {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
