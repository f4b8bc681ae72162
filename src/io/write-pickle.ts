/** Writes pickles of protocol 2, the one that torch.save writes: the instructions of a checkpoint and no others. */
import { OptionError } from '../runtime/errors';

export type Picklable =
  | null
  | boolean
  /** A whole number. */
  | number
  | string
  | PyFloat
  /** A tuple. */
  | readonly Picklable[]
  /** A dict. */
  | ReadonlyMap<string, Picklable>
  | PyOrderedDict
  | PyName
  | PyCall
  | PyPersistent;

/** A float, which stays one where its value is whole. */
export class PyFloat {
  constructor(readonly value: number) {}
}

/** collections.OrderedDict, what a state_dict is. */
export class PyOrderedDict {
  constructor(readonly entries: ReadonlyMap<string, Picklable>) {}
}

/** A class or function by its names. */
export class PyName {
  constructor(
    readonly module: string,
    readonly name: string,
  ) {}
}

/** What a function gives when the reader calls it. */
export class PyCall {
  constructor(
    readonly callee: PyName,
    readonly args: readonly Picklable[],
  ) {}
}

/** Something that lies outside of the pickle, by its id: a storage. */
export class PyPersistent {
  constructor(readonly id: Picklable) {}
}

const ORDERED_DICT = new PyName('collections', 'OrderedDict');

/** @throws OptionError for a number that is neither whole nor a PyFloat, or text that UTF-8 cannot hold. */
export function pickle(value: Picklable): Uint8Array<ArrayBuffer> {
  const writer = new Pickler();
  writer.write(value);
  return writer.finish();
}

class Pickler {
  #bytes = new Uint8Array(4096);
  #length = 0;
  /** Index in the reader's memo of texts and names that were written before. */
  readonly #memo = new Map<string, number>();
  readonly #utf8 = new TextEncoder();

  constructor() {
    this.#put(0x80, 2); // PROTO
  }

  finish(): Uint8Array<ArrayBuffer> {
    this.#put(0x2e); // STOP
    return this.#bytes.slice(0, this.#length);
  }

  write(value: Picklable): void {
    if (value === null) this.#put(0x4e);
    else if (typeof value === 'boolean') this.#put(value ? 0x88 : 0x89);
    else if (typeof value === 'number') this.#integer(value);
    else if (typeof value === 'string') this.#remembered(`t${value}`, () => this.#text(value));
    else if (value instanceof PyFloat) this.#float(value.value);
    else if (value instanceof PyName) this.#name(value);
    else if (value instanceof PyCall) {
      this.#name(value.callee);
      this.#tuple(value.args);
      this.#put(0x52); // REDUCE
    } else if (value instanceof PyPersistent) {
      this.write(value.id);
      this.#put(0x51); // BINPERSID
    } else if (value instanceof PyOrderedDict) {
      this.#name(ORDERED_DICT);
      this.#put(0x29, 0x52); // EMPTY_TUPLE, REDUCE
      this.#items(value.entries);
    } else if (value instanceof Map) {
      this.#put(0x7d); // EMPTY_DICT
      this.#items(value);
    } else this.#tuple(value as readonly Picklable[]);
  }

  #put(...bytes: readonly number[]): void {
    this.#append(Uint8Array.from(bytes));
  }

  #append(bytes: Uint8Array): void {
    if (this.#length + bytes.length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + bytes.length));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #number(size: number, set: (view: DataView) => void): void {
    const view = new DataView(new ArrayBuffer(size));
    set(view);
    this.#append(new Uint8Array(view.buffer));
  }

  #integer(value: number): void {
    if (!Number.isSafeInteger(value))
      throw new OptionError(`${value} is no whole number that a pickle holds.`);
    if (value >= 0 && value < 2 ** 8)
      this.#put(0x4b, value); // BININT1
    else if (value >= 0 && value < 2 ** 16)
      this.#put(0x4d, value & 255, value >> 8); // BININT2
    else if (value >= -(2 ** 31) && value < 2 ** 31) {
      this.#put(0x4a); // BININT
      this.#number(4, (view) => view.setInt32(0, value, true));
    } else {
      this.#put(0x8a, 8); // LONG1
      this.#number(8, (view) => view.setBigInt64(0, BigInt(value), true));
    }
  }

  #float(value: number): void {
    this.#put(0x47); // BINFLOAT
    this.#number(8, (view) => view.setFloat64(0, value, false));
  }

  #text(value: string): void {
    // TextEncoder would write another character instead.
    if (/\p{Surrogate}/u.test(value)) throw new OptionError('A text holds half a surrogate pair.');
    const utf8 = this.#utf8.encode(value);
    this.#put(0x58); // BINUNICODE
    this.#number(4, (view) => view.setUint32(0, utf8.length, true));
    this.#append(utf8);
  }

  #name({ module, name }: PyName): void {
    this.#remembered(`n${module}\n${name}`, () => {
      this.#append(this.#utf8.encode(`c${module}\n${name}\n`)); // GLOBAL
    });
  }

  /** Written once, then fetched from the reader's memo. */
  #remembered(key: string, write: () => void): void {
    const known = this.#memo.get(key);
    const index = known ?? this.#memo.size;
    if (known === undefined) {
      write();
      this.#memo.set(key, index);
    }
    const [short, long] = known === undefined ? [0x71, 0x72] : [0x68, 0x6a]; // BINPUT, LONG_BINPUT; BINGET, LONG_BINGET
    if (index < 2 ** 8) this.#put(short, index);
    else {
      this.#put(long);
      this.#number(4, (view) => view.setUint32(0, index, true));
    }
  }

  #tuple(items: readonly Picklable[]): void {
    if (items.length === 0)
      this.#put(0x29); // EMPTY_TUPLE
    else if (items.length <= 3) {
      for (const item of items) this.write(item);
      this.#put(0x84 + items.length); // TUPLE1, TUPLE2, TUPLE3
    } else {
      this.#put(0x28); // MARK
      for (const item of items) this.write(item);
      this.#put(0x74); // TUPLE
    }
  }

  #items(entries: ReadonlyMap<string, Picklable>): void {
    if (entries.size === 0) return;
    this.#put(0x28); // MARK
    for (const [key, value] of entries) {
      this.write(key);
      this.write(value);
    }
    this.#put(0x75); // SETITEMS
  }
}
