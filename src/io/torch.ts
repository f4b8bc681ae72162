/** PyTorch's zip files: what torch.save writes, and TorchScript archives as OpenAI's CLIP comes. */
import { elementCount, type StoredDtype, type TensorInfo, type TensorSource } from '../model/tensor-source';
import { BadFileError } from '../runtime/errors';
import type { ByteSource } from './bytes';
import { dtypeSize, halvesOf, widen } from './numbers';
import {
  BASIC_FUNCTIONS,
  PickleDict,
  PickleForeign,
  PickleGlobal,
  PickleList,
  PickleObject,
  type PickleRules,
  type PickleValue,
  type Refuse,
  unpickle,
} from './pickle';
import { shownName } from './safetensors-header';
import { checkElements } from './tensor-view';
import { openZip, type ZipArchive, type ZipEntry } from './zip';

/** Real ones take some 100 KB. */
const MAX_PICKLE = 32 * 2 ** 20;
const MAX_RANK = 16;
const MAX_DEPTH = 64;
const MAX_VISITS = 500_000;
const MAX_TENSORS = 50_000;
const MAX_NAME = 1024;
/** A repeated (stride 0) tensor may be larger than its storage, but not without end. */
const MAX_REPEATED = 2 ** 24;
/** Elements read at once. */
const PIECE = 8 * 2 ** 20;

const AGAIN = 'Save it again with PyTorch: torch.save(torch.load(FILE, weights_only=True), NEW).';

const STORAGES: ReadonlyMap<string, StoredDtype> = new Map([
  ['torch.FloatStorage', 'F32'],
  ['torch.HalfStorage', 'F16'],
  ['torch.BFloat16Storage', 'BF16'],
  ['torch.DoubleStorage', 'F64'],
  ['torch.LongStorage', 'I64'],
  ['torch.IntStorage', 'I32'],
  ['torch.ShortStorage', 'I16'],
  ['torch.CharStorage', 'I8'],
  ['torch.ByteStorage', 'U8'],
  ['torch.BoolStorage', 'BOOL'],
]);
const UNTYPED = 'torch.storage.UntypedStorage';

const DTYPES: ReadonlyMap<string, StoredDtype> = new Map([
  ['torch.float32', 'F32'],
  ['torch.float16', 'F16'],
  ['torch.bfloat16', 'BF16'],
  ['torch.float64', 'F64'],
  ['torch.int64', 'I64'],
  ['torch.int32', 'I32'],
  ['torch.int16', 'I16'],
  ['torch.int8', 'I8'],
  ['torch.uint8', 'U8'],
  ['torch.uint16', 'U16'],
  ['torch.uint32', 'U32'],
  ['torch.uint64', 'U64'],
  ['torch.bool', 'BOOL'],
]);

/** OpenAI's archives keep three numbers as tensors; none is a weight. */
const NO_WEIGHT = /(^|\.)(input_resolution|context_length|vocab_size)$/;

class Storage extends PickleForeign {
  constructor(
    readonly key: string,
    /** Undefined: bytes that `_rebuild_tensor_v3` gives a dtype. */
    readonly dtype: StoredDtype | undefined,
    /** In elements, or in bytes without a dtype. */
    readonly length: number,
  ) {
    super();
  }
}

class StoredTensor extends PickleForeign {
  constructor(
    readonly storage: Storage,
    readonly dtype: StoredDtype,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {
    super();
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function counts(value: PickleValue | undefined): readonly number[] | undefined {
  if (!(value instanceof PickleList) || value.items.length > MAX_RANK) return undefined;
  return value.items.every(isCount) ? [...value.items] : undefined;
}

function rebuildTensor(args: readonly PickleValue[], refuse: Refuse, dtype?: StoredDtype): StoredTensor {
  const [storage, offset, sizes, steps] = args;
  const [shape, strides] = [counts(sizes), counts(steps)];
  if (!(storage instanceof Storage)) return refuse('a tensor without a storage');
  if (!isCount(offset) || !shape || !strides || shape.length !== strides.length)
    return refuse('a tensor of impossible shape or strides');
  const type = dtype ?? storage.dtype;
  if (!type) return refuse('a tensor without a dtype');
  return new StoredTensor(storage, type, offset, shape, strides);
}

function rebuildTyped(args: readonly PickleValue[], refuse: Refuse): StoredTensor {
  const dtype = args[6] instanceof PickleGlobal ? DTYPES.get(args[6].name) : undefined;
  if (!dtype) return refuse('a tensor of unknown dtype');
  return rebuildTensor(args, refuse, dtype);
}

/** A function that gives its first argument: a Parameter is its tensor, a typed list the list. */
function first([value]: readonly PickleValue[], refuse: Refuse): PickleValue {
  return value === undefined ? refuse('a call without arguments') : value;
}

const RULES: PickleRules = {
  functions: new Map([
    ...BASIC_FUNCTIONS,
    ['torch._utils._rebuild_tensor', (args: readonly PickleValue[], refuse) => rebuildTensor(args, refuse)],
    [
      'torch._utils._rebuild_tensor_v2',
      (args: readonly PickleValue[], refuse) => rebuildTensor(args, refuse),
    ],
    ['torch._utils._rebuild_tensor_v3', rebuildTyped],
    ['torch._utils._rebuild_parameter', first],
    ['torch._utils._rebuild_parameter_with_state', first],
    ['torch.Size', first],
    ['torch.device', first],
    ['torch.jit._pickle.restore_type_tag', first],
    ['torch.jit._pickle.build_intlist', first],
    ['torch.jit._pickle.build_doublelist', first],
    ['torch.jit._pickle.build_boollist', first],
    ['torch.jit._pickle.build_tensorlist', first],
  ] as [string, (args: readonly PickleValue[], refuse: Refuse) => PickleValue][]),
  names: new Set([...STORAGES.keys(), UNTYPED, ...DTYPES.keys()]),
  isClass: (name) => /^__torch__(\.\w+)+$/.test(name),
  persistent(id, refuse) {
    const [tag, type, key, , length] = id instanceof PickleList ? id.items : [];
    if (tag !== 'storage' || !(type instanceof PickleGlobal) || typeof key !== 'string' || !isCount(length))
      return refuse('a reference to something that is no storage');
    const dtype = STORAGES.get(type.name);
    if (!dtype && type.name !== UNTYPED) return refuse(`a storage of the type ${shownName(type.name)}`);
    return new Storage(key, dtype, length);
  },
};

/** A tensor and the entry that holds its storage. */
interface Located {
  readonly info: TensorInfo;
  readonly tensor: StoredTensor;
  readonly entry: ZipEntry;
}

/**
 * Opens a file of torch.save or torch.jit.save. Nested dicts, lists and modules give dotted names
 * (`state_dict.seg_adapters.0.fc1.0.weight`); numbers and strings at the top become metadata. The pickle is read with an
 * allow-list and nothing is run. Tensors are read by range, widened to f32. Closing the tensors closes the bytes.
 * @throws BadFileError when the file is no such archive, damaged, or holds anything but weights.
 */
export async function openTorch(bytes: ByteSource): Promise<TensorSource> {
  const { label } = bytes;
  await checkMagic(bytes);
  const zip = await openZip(bytes);
  const { root, pickle } = findPickle(zip);
  await checkByteOrder(zip, root);
  const data = await zip.readAll(pickle, MAX_PICKLE);
  const value = unpickle(data, label, (await zip.range(pickle)).offset, RULES);
  const tensors = new Map<string, Located>();
  for (const [name, tensor] of namedTensors(value, label)) {
    if (!NO_WEIGHT.test(name)) tensors.set(name, locate(zip, root, name, tensor));
  }
  if (tensors.size === 0)
    throw new BadFileError(label, 'it holds no named tensors', 'Give a file of weights.');
  return {
    label,
    tensors: new Map([...tensors].map(([name, { info }]) => [name, info])),
    metadata: topValues(value),
    async read(name, start = 0, end?: number) {
      const located = tensors.get(name);
      if (!located) throw new BadFileError(label, `there is no tensor ${shownName(name)}`);
      const stop = end ?? elementCount(located.info.shape);
      checkElements(label, located.info, start, stop);
      if (start === stop) return new Float32Array(0);
      return isRowMajor(located.tensor)
        ? readRun(zip, located, start, stop)
        : gather(zip, located, start, stop);
    },
    readHalves(name, start, end) {
      const located = tensors.get(name);
      if (located?.tensor.dtype !== 'F16' || !isRowMajor(located.tensor)) return undefined;
      checkElements(label, located.info, start, end);
      return readBytes(zip, located, located.tensor.offset + start, end - start).then(halvesOf);
    },
    recycle: ({ buffer }) => bytes.recycle?.(buffer),
    trim: () => bytes.trim?.(),
    close: () => bytes.close(),
  };
}

async function checkMagic(bytes: ByteSource): Promise<void> {
  const { label, size } = bytes;
  const start = await bytes.read(0, Math.min(size, 512));
  if (start[0] === 0x50 && start[1] === 0x4b) return;
  if (size === 0) throw new BadFileError(label, 'it is empty');
  if (start[0] === 0x80)
    throw new BadFileError(label, 'it is a bare pickle, as PyTorch wrote before version 1.6', AGAIN, 0);
  if (new TextDecoder('latin1').decode(start.subarray(257, 262)) === 'ustar')
    throw new BadFileError(label, 'it is a tar archive, as PyTorch wrote before version 0.1.10', AGAIN, 0);
  throw new BadFileError(label, 'it is no zip archive, as PyTorch writes them', AGAIN, 0);
}

function findPickle(zip: ZipArchive): { root: string; pickle: ZipEntry } {
  const found = [...zip.entries.values()].filter(({ name }) => /^[^/]+\/data\.pkl$/.test(name));
  const [pickle] = found;
  if (!pickle)
    throw new BadFileError(zip.label, 'it is a zip archive without data.pkl', 'Give a file of torch.save.');
  if (found.length > 1) throw new BadFileError(zip.label, 'it holds data.pkl in two folders');
  return { root: pickle.name.slice(0, -'data.pkl'.length), pickle };
}

async function checkByteOrder(zip: ZipArchive, root: string): Promise<void> {
  const entry = zip.entries.get(`${root}byteorder`);
  if (!entry) return;
  const order = new TextDecoder().decode(await zip.readAll(entry, 64));
  if (order !== 'little')
    throw new BadFileError(
      zip.label,
      `its byte order is ${shownName(order)}, not "little"`,
      'Save it again with PyTorch on a little-endian machine.',
      (await zip.range(entry)).offset,
    );
}

/** Every tensor with its dotted name. */
function namedTensors(value: PickleValue, label: string): Map<string, StoredTensor> {
  const found = new Map<string, StoredTensor>();
  let visits = 0;
  const visit = (at: PickleValue, name: string, depth: number) => {
    if (++visits > MAX_VISITS) throw new BadFileError(label, `it nests more than ${MAX_VISITS} values`);
    if (typeof at !== 'object' || at === null) return;
    if (depth > MAX_DEPTH) throw new BadFileError(label, `it nests deeper than ${MAX_DEPTH} levels`);
    if (name.length > MAX_NAME) throw new BadFileError(label, `the name ${shownName(name)} is too long`);
    if (at instanceof StoredTensor) {
      if (found.has(name)) throw new BadFileError(label, `it holds two tensors ${shownName(name)}`);
      if (found.size === MAX_TENSORS)
        throw new BadFileError(label, `it has more than ${MAX_TENSORS} tensors`);
      found.set(name, at);
    } else if (at instanceof PickleObject) visit(at.state, name, depth + 1);
    else if (at instanceof PickleDict) {
      for (const [key, child] of at.entries) visit(child, joined(name, key, child), depth + 1);
    } else if (at instanceof PickleList) {
      for (const [i, child] of at.items.entries()) visit(child, joined(name, i, child), depth + 1);
    }
  };
  visit(value, '', 0);
  found.delete('');
  return found;
}

/** Names are only built where tensors can follow: a list may hold a million numbers. */
function joined(name: string, key: string | number, child: PickleValue): string {
  if (typeof child !== 'object') return name;
  return name === '' ? String(key) : `${name}.${key}`;
}

/** Numbers and strings at the top level. */
function topValues(value: PickleValue): Map<string, string> {
  const top = value instanceof PickleObject ? value.state : value;
  const kept = new Map<string, string>();
  if (!(top instanceof PickleDict)) return kept;
  for (const [key, item] of top.entries) {
    if (typeof item === 'number' || typeof item === 'bigint' || typeof item === 'string')
      kept.set(key, String(item));
  }
  return kept;
}

/** @throws BadFileError unless every element lies in the tensor's storage, and the storage in the file. */
function locate(zip: ZipArchive, root: string, name: string, tensor: StoredTensor): Located {
  const { storage, dtype, shape, strides, offset } = tensor;
  const entry = zip.entries.get(`${root}data/${storage.key}`);
  const fail = (fact: string): never => {
    throw new BadFileError(zip.label, `the tensor ${shownName(name)} ${fact}`);
  };
  if (!entry) return fail(`is in the entry data/${storage.key}, which is missing`);
  const bytes = storage.length * (storage.dtype ? dtypeSize(storage.dtype) : 1);
  if (entry.size < bytes)
    fail(`needs a storage of ${bytes} bytes, but data/${storage.key} has ${entry.size}`);
  const length = Math.floor(bytes / dtypeSize(dtype));
  const count = elementCount(shape);
  const last = shape.reduce((sum, n, axis) => sum + (n - 1) * strides[axis]!, offset);
  if (count > 0 && !(last < length))
    fail(`of shape [${shape}] and strides [${strides}] reaches past its storage of ${length} values`);
  if (count > Math.max(length, MAX_REPEATED)) fail(`repeats ${length} values ${count} times`);
  return { info: { name, dtype, shape }, tensor, entry };
}

function isRowMajor({ shape, strides }: StoredTensor): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}

/** Elements [from, from + count) of the storage, as they are. */
function readBytes(
  zip: ZipArchive,
  { tensor, entry }: Located,
  from: number,
  count: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const size = dtypeSize(tensor.dtype);
  return zip.read(entry, from * size, count * size);
}

/** The same as f32. */
async function readElements(
  zip: ZipArchive,
  located: Located,
  from: number,
  count: number,
): Promise<Float32Array<ArrayBuffer>> {
  return widen(await readBytes(zip, located, from, count), located.tensor.dtype);
}

/** Elements [start, end) of a tensor that lies in its storage in row-major order. */
async function readRun(
  zip: ZipArchive,
  located: Located,
  start: number,
  end: number,
): Promise<Float32Array<ArrayBuffer>> {
  const base = located.tensor.offset;
  if (end - start <= PIECE) return readElements(zip, located, base + start, end - start);
  const out = new Float32Array(end - start);
  for (let at = start; at < end; at += PIECE)
    out.set(await readElements(zip, located, base + at, Math.min(PIECE, end - at)), at - start);
  return out;
}

/**
 * Elements [start, end) of a tensor with other strides. The storage is read piece by piece from the lowest element that is
 * wanted on; memory stays bounded whatever the strides.
 */
async function gather(
  zip: ZipArchive,
  located: Located,
  start: number,
  end: number,
): Promise<Float32Array<ArrayBuffer>> {
  const { tensor } = located;
  const out = new Float32Array(end - start);
  let low = Number.POSITIVE_INFINITY;
  let high = 0;
  forPositions(tensor, start, end, (_, position) => {
    low = Math.min(low, position);
    high = Math.max(high, position);
  });
  while (low <= high) {
    const from = low;
    const piece = await readElements(zip, located, from, Math.min(PIECE, high + 1 - from));
    low = Number.POSITIVE_INFINITY;
    forPositions(tensor, start, end, (i, position) => {
      if (position < from) return;
      if (position < from + piece.length) out[i - start] = piece[position - from]!;
      else low = Math.min(low, position);
    });
  }
  return out;
}

/** Calls `visit` with each element's index in row-major order and its place in the storage. */
function forPositions(
  { shape, strides, offset }: StoredTensor,
  start: number,
  end: number,
  visit: (index: number, position: number) => void,
): void {
  const at = new Array<number>(shape.length).fill(0);
  let rest = start;
  let position = offset;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    at[axis] = rest % shape[axis]!;
    rest = Math.floor(rest / shape[axis]!);
    position += at[axis]! * strides[axis]!;
  }
  for (let i = start; i < end; i++) {
    visit(i, position);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      position += strides[axis]!;
      if (++at[axis]! < shape[axis]!) break;
      position -= at[axis]! * strides[axis]!;
      at[axis] = 0;
    }
  }
}
