/**
 * Reads pickles of protocols 2 to 5 as data. Nothing is imported or run: a global is a name on a list, and calling one
 * means that a function of ours looks at its arguments. Whatever is not listed is refused.
 */
import { BadFileError } from '../runtime/errors';
import { shownName } from './safetensors-header';

export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleList
  | PickleDict
  | PickleObject
  | PickleGlobal
  | PickleForeign;

/** A list or tuple. It may hold itself. */
export class PickleList {
  constructor(readonly items: PickleValue[]) {}
}

/** A dict or OrderedDict, its keys as text. It may hold itself. */
export class PickleDict {
  readonly entries = new Map<string, PickleValue>();
}

/** An object of a class that `PickleRules.isClass` lets pass: its class's name and what BUILD gave it. */
export class PickleObject {
  state: PickleValue = null;
  constructor(readonly type: string) {}
}

/** A listed name, `module.attribute`. */
export class PickleGlobal {
  constructor(readonly name: string) {}
}

/** A value that a listed function made. */
export abstract class PickleForeign {
  readonly foreign = true;
}

/** Refuses what it is called for: the pickle's reader adds file and place. */
export type Refuse = (fact: string) => never;

export interface PickleRules {
  /** Functions that REDUCE may call. They must neither copy nor walk arguments of unbounded size. */
  readonly functions: ReadonlyMap<string, (args: readonly PickleValue[], refuse: Refuse) => PickleValue>;
  /** Other names that may appear: storage types, dtypes. */
  readonly names: ReadonlySet<string>;
  /** Names of classes whose objects are read as attributes. */
  isClass(name: string): boolean;
  /** What a persistent id stands for. */
  persistent(id: PickleValue, refuse: Refuse): PickleValue;
}

const MAX_OPCODES = 1_000_000;
const MAX_GLOBAL = 1024;

/** A dtype of numpy under construction: BUILD adds the byte order. */
class NumpyDtype extends PickleForeign {
  order = '<';
  constructor(readonly type: string) {
    super();
  }
}

/** Scalars of numpy that are plain numbers: training loops keep metrics beside weights. */
const NUMPY_SCALARS: ReadonlyMap<string, (data: DataView) => number | bigint | boolean> = new Map<
  string,
  (data: DataView) => number | bigint | boolean
>([
  ['f8', (data) => data.getFloat64(0, true)],
  ['f4', (data) => data.getFloat32(0, true)],
  ['i8', (data) => data.getBigInt64(0, true)],
  ['i4', (data) => data.getInt32(0, true)],
  ['i2', (data) => data.getInt16(0, true)],
  ['i1', (data) => data.getInt8(0)],
  ['u8', (data) => data.getBigUint64(0, true)],
  ['u4', (data) => data.getUint32(0, true)],
  ['u2', (data) => data.getUint16(0, true)],
  ['u1', (data) => data.getUint8(0)],
  ['b1', (data) => data.getUint8(0) !== 0],
]);

function numpyDtype([type]: readonly PickleValue[], refuse: Refuse): NumpyDtype {
  if (typeof type !== 'string' || !NUMPY_SCALARS.has(type))
    return refuse(`the numpy dtype ${typeof type === 'string' ? shownName(type) : 'of no name'}`);
  return new NumpyDtype(type);
}

function numpyScalar([dtype, bytes]: readonly PickleValue[], refuse: Refuse): PickleValue {
  if (!(dtype instanceof NumpyDtype) || !(bytes instanceof Uint8Array)) return refuse('a malformed number');
  if (bytes.length !== Number(dtype.type.slice(1))) return refuse(`a number of ${bytes.length} bytes`);
  const little = dtype.order === '>' ? bytes.toReversed() : bytes;
  return NUMPY_SCALARS.get(dtype.type)!(new DataView(little.buffer, little.byteOffset, little.length));
}

/** How protocol 2 spells bytes: their latin-1 text. Numbers need 16 at most. */
function encodeLatin1([text, encoding]: readonly PickleValue[], refuse: Refuse): Uint8Array {
  if (typeof text !== 'string' || encoding !== 'latin1' || text.length > 16)
    return refuse('bytes in an unknown spelling');
  return Uint8Array.from(text, (char) => {
    const code = char.charCodeAt(0);
    return code < 256 ? code : refuse('bytes in an unknown spelling');
  });
}

/** What any checkpoint of Python may hold. */
export const BASIC_FUNCTIONS: PickleRules['functions'] = new Map([
  [
    'collections.OrderedDict',
    (args: readonly PickleValue[], refuse: Refuse): PickleValue =>
      args.length === 0 ? new PickleDict() : refuse('an OrderedDict with arguments'),
  ],
  ['_codecs.encode', encodeLatin1],
  ['numpy.dtype', numpyDtype],
  ['numpy.core.multiarray.scalar', numpyScalar],
  ['numpy._core.multiarray.scalar', numpyScalar],
]);

/**
 * @param data the whole pickle. @param label the file's name. @param base where `data` begins in it, for messages.
 * @throws BadFileError for anything malformed, unlisted or too long; the message has the byte offset.
 */
export function unpickle(
  data: Uint8Array<ArrayBuffer>,
  label: string,
  base: number,
  rules: PickleRules,
): PickleValue {
  return new Unpickler(data, label, base, rules).run();
}

class Unpickler {
  readonly #view: DataView;
  readonly #text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  readonly #stack: PickleValue[] = [];
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();
  readonly #globals = new Map<string, PickleGlobal>();
  #at = 0;
  /** Of the opcode at work. */
  #opcodeAt = 0;

  constructor(
    readonly data: Uint8Array<ArrayBuffer>,
    readonly label: string,
    readonly base: number,
    readonly rules: PickleRules,
  ) {
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  run(): PickleValue {
    for (let count = 0; ; count++) {
      this.#opcodeAt = this.#at;
      if (count >= MAX_OPCODES) this.#fail(`has more than ${MAX_OPCODES} instructions`);
      const opcode = this.#u8();
      if (opcode === 0x2e) return this.#stop(); // STOP
      this.#step(opcode);
    }
  }

  #fail(fact: string, remedy?: string): never {
    throw new BadFileError(this.label, `its pickle ${fact}`, remedy, this.base + this.#opcodeAt);
  }

  #refuse: Refuse = (fact) =>
    this.#fail(
      `holds ${fact}, which no weights need`,
      'Nothing was run. Save only the weights: torch.save(model.state_dict(), FILE).',
    );

  #stop(): PickleValue {
    const value = this.#pop();
    if (this.#stack.length > 0 || this.#marks.length > 0) this.#fail('ends with values left over');
    if (this.#at !== this.data.length) this.#fail('goes on after its end');
    return value;
  }

  #step(opcode: number): void {
    const stack = this.#stack;
    switch (opcode) {
      case 0x80: {
        const protocol = this.#u8(); // PROTO
        if (protocol < 2 || protocol > 5) this.#fail(`has the protocol ${protocol}`);
        return;
      }
      case 0x95: // FRAME: its length only helps readers that buffer
        this.#skip(8);
        return;
      case 0x28: // MARK
        this.#marks.push(stack.length);
        return;
      case 0x30: // POP
        this.#pop();
        return;
      case 0x31: // POP_MARK
        this.#sinceMark();
        return;
      case 0x4e: // NONE
        stack.push(null);
        return;
      case 0x88: // NEWTRUE
        stack.push(true);
        return;
      case 0x89: // NEWFALSE
        stack.push(false);
        return;
      case 0x4a: // BININT
        stack.push(this.#view.getInt32(this.#skip(4), true));
        return;
      case 0x4b: // BININT1
        stack.push(this.#u8());
        return;
      case 0x4d: // BININT2
        stack.push(this.#view.getUint16(this.#skip(2), true));
        return;
      case 0x8a: // LONG1
        stack.push(this.#long());
        return;
      case 0x47: // BINFLOAT
        stack.push(this.#view.getFloat64(this.#skip(8), false));
        return;
      case 0x58: // BINUNICODE
        stack.push(this.#string(this.#u32()));
        return;
      case 0x8c: // SHORT_BINUNICODE
        stack.push(this.#string(this.#u8()));
        return;
      case 0x8d: // BINUNICODE8
        stack.push(this.#string(this.#u64()));
        return;
      case 0x54: // BINSTRING, of Python 2
        stack.push(this.#string(this.#u32()));
        return;
      case 0x55: // SHORT_BINSTRING
        stack.push(this.#string(this.#u8()));
        return;
      case 0x42: // BINBYTES
        stack.push(this.#bytes(this.#u32()));
        return;
      case 0x43: // SHORT_BINBYTES
        stack.push(this.#bytes(this.#u8()));
        return;
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        stack.push(this.#bytes(this.#u64()));
        return;
      case 0x5d: // EMPTY_LIST
      case 0x29: // EMPTY_TUPLE
        stack.push(new PickleList([]));
        return;
      case 0x6c: // LIST
      case 0x74: // TUPLE
        stack.push(new PickleList(this.#sinceMark()));
        return;
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        stack.push(new PickleList(this.#popMany(opcode - 0x84)));
        return;
      case 0x61: {
        const item = this.#pop(); // APPEND
        this.#list().items.push(item);
        return;
      }
      case 0x65: {
        const items = this.#sinceMark(); // APPENDS
        const list = this.#list();
        for (const item of items) list.items.push(item);
        return;
      }
      case 0x7d: // EMPTY_DICT
        stack.push(new PickleDict());
        return;
      case 0x64: {
        const pairs = this.#sinceMark(); // DICT
        stack.push(new PickleDict());
        this.#setItems(pairs);
        return;
      }
      case 0x73: // SETITEM
        this.#setItems(this.#popMany(2));
        return;
      case 0x75: // SETITEMS
        this.#setItems(this.#sinceMark());
        return;
      case 0x68: // BINGET
        this.#get(this.#u8());
        return;
      case 0x6a: // LONG_BINGET
        this.#get(this.#u32());
        return;
      case 0x71: // BINPUT
        this.#memo.set(this.#u8(), this.#top());
        return;
      case 0x72: // LONG_BINPUT
        this.#memo.set(this.#u32(), this.#top());
        return;
      case 0x94: // MEMOIZE
        this.#memo.set(this.#memo.size, this.#top());
        return;
      case 0x63: // GLOBAL
        stack.push(this.#global(this.#line(), this.#line()));
        return;
      case 0x93: {
        const [module, name] = this.#popMany(2); // STACK_GLOBAL
        if (typeof module !== 'string' || typeof name !== 'string') this.#fail('names a global by no text');
        stack.push(this.#global(module, name));
        return;
      }
      case 0x52: // REDUCE
        this.#reduce();
        return;
      case 0x81: // NEWOBJ
        this.#newObject();
        return;
      case 0x62: // BUILD
        this.#build();
        return;
      case 0x51: // BINPERSID
        stack.push(this.rules.persistent(this.#pop(), this.#refuse));
        return;
      default:
        // DUP, INST, OBJ, EXT, NEWOBJ_EX, sets, buffers and protocol 0's text forms among them: torch writes none.
        this.#refuse(`the instruction 0x${opcode.toString(16).padStart(2, '0')}`);
    }
  }

  #global(module: string, attribute: string): PickleGlobal {
    const name = `${module}.${attribute}`;
    const known = this.#globals.get(name);
    if (known) return known;
    const { functions, names } = this.rules;
    if (!functions.has(name) && !names.has(name) && !this.rules.isClass(name))
      this.#refuse(`the global ${shownName(name)}`);
    const global = new PickleGlobal(name);
    this.#globals.set(name, global);
    return global;
  }

  #reduce(): void {
    const [callee, args] = this.#popMany(2);
    if (!(args instanceof PickleList)) this.#fail('calls without arguments');
    const call = callee instanceof PickleGlobal ? this.rules.functions.get(callee.name) : undefined;
    if (!call) {
      this.#refuse(
        `a call of ${callee instanceof PickleGlobal ? shownName(callee.name) : 'something that is no function'}`,
      );
    }
    this.#stack.push(call(args.items, this.#refuse));
  }

  #newObject(): void {
    const [type, args] = this.#popMany(2);
    if (!(type instanceof PickleGlobal) || !this.rules.isClass(type.name))
      this.#refuse('an object of something that is no class');
    if (!(args instanceof PickleList) || args.items.length > 0) this.#refuse('an object with arguments');
    this.#stack.push(new PickleObject(type.name));
  }

  #build(): void {
    const [target, state] = this.#popMany(2) as [PickleValue, PickleValue];
    if (target instanceof PickleObject) target.state = state;
    else if (target instanceof NumpyDtype) {
      const order = state instanceof PickleList ? state.items[1] : undefined;
      if (order !== '<' && order !== '>' && order !== '|') this.#refuse('a malformed numpy dtype');
      target.order = order;
    } else if (!(target instanceof PickleDict && state instanceof PickleDict)) {
      // A state_dict's own attributes (`_metadata`: versions of modules) are of no use here; others nobody writes.
      this.#refuse('attributes of something that has none');
    }
    this.#stack.push(target);
  }

  #setItems(pairs: readonly PickleValue[]): void {
    const dict = this.#top();
    if (!(dict instanceof PickleDict)) this.#fail('sets items of something that is no dict');
    if (pairs.length % 2 !== 0) this.#fail('has a key without a value');
    for (let i = 0; i < pairs.length; i += 2) dict.entries.set(this.#key(pairs[i]!), pairs[i + 1]!);
  }

  #key(value: PickleValue): string {
    if (typeof value === 'string') return value;
    if (
      typeof value === 'number' ||
      typeof value === 'bigint' ||
      typeof value === 'boolean' ||
      value === null
    )
      return String(value);
    return this.#refuse('a dict key that is neither text nor a number');
  }

  #list(): PickleList {
    const list = this.#top();
    if (!(list instanceof PickleList)) this.#fail('appends to something that is no list');
    return list;
  }

  #get(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) this.#fail(`uses the memo ${index}, which is not set`);
    this.#stack.push(value);
  }

  #floor(): number {
    return this.#marks.at(-1) ?? 0;
  }

  #top(): PickleValue {
    if (this.#stack.length <= this.#floor()) this.#fail('takes a value from an empty stack');
    return this.#stack.at(-1)!;
  }

  #pop(): PickleValue {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #popMany(count: number): PickleValue[] {
    if (this.#stack.length - count < this.#floor()) this.#fail('takes a value from an empty stack');
    return this.#stack.splice(this.#stack.length - count, count);
  }

  #sinceMark(): PickleValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) this.#fail('misses a mark');
    return this.#stack.splice(mark);
  }

  /** Steps over `length` bytes and gives where they begin. */
  #skip(length: number): number {
    const from = this.#at;
    if (length > this.data.length - from) this.#fail('is cut short');
    this.#at += length;
    return from;
  }

  #u8(): number {
    return this.#view.getUint8(this.#skip(1));
  }

  #u32(): number {
    return this.#view.getUint32(this.#skip(4), true);
  }

  #u64(): number {
    return Number(this.#view.getBigUint64(this.#skip(8), true));
  }

  #long(): number | bigint {
    const length = this.#u8();
    if (length > 8) this.#fail(`holds an integer of ${length} bytes`);
    let value = 0n;
    for (const byte of this.#bytes(length).toReversed()) value = (value << 8n) | BigInt(byte);
    value = BigInt.asIntN(8 * length, value);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  #bytes(length: number): Uint8Array<ArrayBuffer> {
    const from = this.#skip(length);
    return this.data.slice(from, from + length);
  }

  #string(length: number): string {
    const from = this.#skip(length);
    try {
      return this.#text.decode(this.data.subarray(from, from + length));
    } catch {
      return this.#fail('holds text that is no UTF-8');
    }
  }

  #line(): string {
    const end = this.data.subarray(this.#at, this.#at + MAX_GLOBAL).indexOf(0x0a);
    if (end < 0) this.#fail('holds a global without an end');
    const text = this.#string(end);
    this.#skip(1);
    return text;
  }
}
