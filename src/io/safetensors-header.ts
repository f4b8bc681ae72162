/**
 * A strict scanner of safetensors headers. `JSON.parse` would hide duplicate keys, round offsets beyond 2^53, treat
 * `__proto__` specially and tell no byte offsets; the headers' little JSON needs none of the rest.
 */
import type { StoredDtype } from '../model/tensor-source';
import { BadFileError } from '../runtime/errors';
import { dtypeSize, isStoredDtype } from './numbers';

/** One tensor as the header claims it; [begin, end) are bytes after the header. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  readonly entries: ReadonlyMap<string, HeaderEntry>;
  readonly metadata: ReadonlyMap<string, string>;
}

const MAX_RANK = 64;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** A name out of a file for a message: quoted, cut, without characters that a terminal would obey. */
export function shownName(name: string): string {
  const quoted = JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}...` : name);
  return quoted.replace(/[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '\ufffd');
}

/** First byte that is no UTF-8 in bytes known to hold one: bisects over prefixes. */
function invalidUtf8At(bytes: Uint8Array): number {
  let [good, bad] = [0, bytes.length];
  while (good < bad) {
    const middle = (good + bad + 1) >> 1;
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, middle), { stream: true });
      good = middle;
    } catch {
      bad = middle - 1;
    }
  }
  return good;
}

class Scanner {
  #at = 0;
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** The whole header, where a byte is a character: slices of it cost far less than decoding each string. */
  #ascii: string | undefined;

  constructor(
    private readonly file: string,
    private readonly bytes: Uint8Array,
    /** Where the header begins in the file. */
    private readonly base: number,
  ) {}

  fail(detail: string, at = this.#at): never {
    throw new BadFileError(this.file, `its safetensors header ${detail}`, undefined, this.base + at);
  }

  scan(): Header {
    const entries = new Map<string, HeaderEntry>();
    let metadata: ReadonlyMap<string, string> | undefined;
    this.#checkText();
    if (this.bytes[0] !== 0x7b) this.fail('does not begin with {');
    this.#object((name, at) => {
      if (name === '__metadata__') {
        if (metadata) this.fail('holds __metadata__ twice', at);
        metadata = this.#metadata();
        return;
      }
      if (entries.has(name)) this.fail(`holds the key ${shownName(name)} twice`, at);
      entries.set(name, this.#entry(name));
    });
    this.#skipSpace();
    if (this.#at !== this.bytes.length) this.fail('goes on after its last }');
    return { entries, metadata: metadata ?? new Map() };
  }

  #checkText(): void {
    const [first, second, third] = this.bytes;
    if (first === 0xef && second === 0xbb && third === 0xbf) this.fail('begins with a byte order mark');
    try {
      const text = this.#utf8.decode(this.bytes);
      if (text.length === this.bytes.length) this.#ascii = text;
    } catch {
      this.fail('is not UTF-8', invalidUtf8At(this.bytes));
    }
  }

  #skipSpace(): void {
    let byte = this.bytes[this.#at];
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = this.bytes[++this.#at];
  }

  #tryTake(character: string): boolean {
    this.#skipSpace();
    if (this.bytes[this.#at] !== character.charCodeAt(0)) return false;
    this.#at++;
    return true;
  }

  #take(character: string): void {
    if (this.#tryTake(character)) return;
    this.fail(this.#at < this.bytes.length ? `lacks a ${character}` : 'ends too early');
  }

  #list(open: string, close: string, item: () => void): void {
    this.#take(open);
    if (this.#tryTake(close)) return;
    do item();
    while (this.#tryTake(','));
    this.#take(close);
  }

  #object(member: (key: string, at: number) => void): void {
    this.#list('{', '}', () => {
      this.#skipSpace();
      const at = this.#at;
      const key = this.#string();
      this.#take(':');
      member(key, at);
    });
  }

  #string(): string {
    this.#take('"');
    const begin = this.#at;
    let escaped = false;
    for (let byte = this.bytes[this.#at]; byte !== QUOTE; byte = this.bytes[this.#at]) {
      if (byte === undefined) this.fail('ends inside a string', begin - 1);
      if (byte < 0x20) this.fail('has a control character in a string');
      if (byte === BACKSLASH) {
        escaped = true;
        this.#at++;
      }
      this.#at++;
    }
    const end = this.#at++;
    const raw = this.#ascii?.slice(begin, end) ?? this.#utf8.decode(this.bytes.subarray(begin, end));
    return escaped ? this.#unescape(raw, begin) : raw;
  }

  #unescape(raw: string, begin: number): string {
    let text: string;
    try {
      text = JSON.parse(`"${raw}"`) as string;
    } catch {
      this.fail('has a wrong escape in a string', begin);
    }
    if (/\p{Surrogate}/u.test(text)) this.fail('has half a surrogate pair in a string', begin);
    return text;
  }

  /** An integer from 0 to 2^53 - 1, written in digits alone. */
  #natural(what: string): number {
    this.#skipSpace();
    const begin = this.#at;
    let value = 0;
    let digit = this.#digit();
    while (digit >= 0) {
      value = value * 10 + digit;
      this.#at++;
      digit = this.#digit();
    }
    const length = this.#at - begin;
    const next = this.bytes[this.#at];
    const padded = length > 1 && this.bytes[begin] === 0x30;
    const fraction = next === 0x2e || next === 0x65 || next === 0x45; // . e E
    if (length === 0 || padded || fraction) this.fail(`has ${what} that is no whole number >= 0`, begin);
    if (!Number.isSafeInteger(value)) this.fail(`has ${what} of 2^53 or more`, begin);
    return value;
  }

  #digit(): number {
    const digit = (this.bytes[this.#at] ?? 0) - 0x30;
    return digit <= 9 ? digit : -1;
  }

  #naturals(what: string, most: number): number[] {
    const numbers: number[] = [];
    this.#list('[', ']', () => {
      if (numbers.length === most) this.fail(`has ${what} with more than ${most} numbers`);
      numbers.push(this.#natural(what));
    });
    return numbers;
  }

  #metadata(): ReadonlyMap<string, string> {
    const metadata = new Map<string, string>();
    this.#object((key, at) => {
      if (metadata.has(key)) this.fail(`holds the metadata key ${shownName(key)} twice`, at);
      this.#skipSpace();
      if (this.bytes[this.#at] !== QUOTE) this.fail(`has metadata ${shownName(key)} that is no string`);
      metadata.set(key, this.#string());
    });
    return metadata;
  }

  #entry(name: string): HeaderEntry {
    this.#skipSpace();
    const begin = this.#at;
    let dtype: StoredDtype | undefined;
    let shape: number[] | undefined;
    let offsets: number[] | undefined;
    this.#object((key, at) => {
      if (key === 'dtype' && !dtype) dtype = this.#dtype(name);
      else if (key === 'shape' && !shape) shape = this.#naturals('a size', MAX_RANK);
      else if (key === 'data_offsets' && !offsets) offsets = this.#naturals('an offset', 2);
      else this.fail(`has a wrong or repeated key ${shownName(key)} for ${shownName(name)}`, at);
    });
    if (!dtype || !shape || offsets?.length !== 2)
      this.fail(`lacks dtype, shape or two data_offsets for ${shownName(name)}`, begin);
    const entry = { name, dtype, shape, begin: offsets[0]!, end: offsets[1]! };
    this.#checkSpan(entry, begin);
    return entry;
  }

  #dtype(name: string): StoredDtype {
    this.#skipSpace();
    const at = this.#at;
    const text = this.#string();
    if (!isStoredDtype(text)) this.fail(`gives ${shownName(name)} the unknown dtype ${shownName(text)}`, at);
    return text;
  }

  #checkSpan(entry: HeaderEntry, at: number): void {
    const bytes = entry.shape.includes(0)
      ? 0
      : entry.shape.reduce((product, n) => product * n, dtypeSize(entry.dtype));
    // Once above 2^53 a product of whole numbers never comes back below.
    if (!Number.isSafeInteger(bytes))
      this.fail(`gives ${shownName(entry.name)} a shape of more than 2^53 bytes`, at);
    if (entry.end - entry.begin !== bytes) {
      const span = `[${entry.begin}, ${entry.end})`;
      this.fail(`gives ${shownName(entry.name)} the bytes ${span}, its shape needs ${bytes}`, at);
    }
  }
}

/**
 * Reads a header strictly: every entry's span fits its shape and dtype; that spans tile the file is the caller's check.
 * @param bytes the header alone. @param base its offset in the file, for messages.
 * @throws BadFileError with the byte offset.
 */
export function scanHeader(file: string, bytes: Uint8Array, base: number): Header {
  return new Scanner(file, bytes, base).scan();
}
