/** Writes the zip files of torch.save: entries, order, alignment and bookkeeping as PyTorch 2.x has them. */
import { elementCount } from '../model/tensor-source';
import { crc32 } from '../runtime/crc32';
import { OptionError, ShapeError } from '../runtime/errors';
import { type Picklable, PyCall, PyName, PyOrderedDict, PyPersistent, pickle } from './write-pickle';

/** An f32 tensor of a torch file. */
export interface TorchTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Folder that every entry lies in. torch.save takes the file's stem; this is its name for streams, and tells nothing. */
const ROOT = 'archive';
const ALIGNMENT = 64;
const LOCAL_SIZE = 30;
const CENTRAL_SIZE = 46;
/** Sizes and CRC follow the content; names are UTF-8. */
const FLAGS = 0x0808;
/** The small zip format ends here; adapters take some 50 MB. */
const MAX_BYTES = 2 ** 32 - 1;

const FLOAT_STORAGE = new PyName('torch', 'FloatStorage');
const REBUILD = new PyName('torch._utils', '_rebuild_tensor_v2');

/** Collects tensors while a checkpoint's structure is put together; the file's chunks come from `chunks`. */
export class TorchFile {
  readonly #storages: Float32Array[] = [];

  /** The tensor for the pickle, in a storage of its own. @throws ShapeError for values that do not fit the shape. */
  tensor({ shape, values }: TorchTensor): Picklable {
    const count = elementCount(shape);
    if (values.length !== count)
      throw new ShapeError(`[${shape}] takes ${count} values, not ${values.length}.`);
    const key = String(this.#storages.push(values) - 1);
    const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
    const storage = new PyPersistent(['storage', FLOAT_STORAGE, key, 'cpu', count]);
    const hooks = new PyOrderedDict(new Map());
    return new PyCall(REBUILD, [storage, 0, [...shape], strides, false, hooks]);
  }

  /**
   * The whole file, the same bytes for the same values. Chunks of tensors are views.
   * @param value what torch.load gives. @throws OptionError for more than 4 GiB.
   */
  *chunks(value: Picklable): Generator<Uint8Array> {
    const text = new TextEncoder();
    const storages = this.#storages.map(({ buffer, byteOffset, byteLength }, i) => {
      return { name: `data/${i}`, data: new Uint8Array(buffer, byteOffset, byteLength) };
    });
    const entries = [
      { name: 'data.pkl', data: pickle(value) },
      { name: '.format_version', data: text.encode('1') },
      { name: '.storage_alignment', data: text.encode(String(ALIGNMENT)) },
      { name: 'byteorder', data: text.encode('little') },
      ...storages,
      { name: 'version', data: text.encode('3\n') },
    ].map((entry) => ({ ...entry, crc: crc32(entry.data) }));
    // 40 digits that change with names and content, as torch's own do.
    const names = crc32(text.encode(entries.map(({ name }) => name).join('\n')));
    const contents = crc32(text.encode(entries.map(({ crc }) => crc).join('\n')));
    const id = text.encode([names, contents].map((n) => String(n).padStart(20, '0')).join(''));
    entries.push({ name: '.data/serialization_id', data: id, crc: crc32(id) });
    yield* zipChunks(entries.map((entry) => ({ ...entry, name: `${ROOT}/${entry.name}` })));
  }
}

interface Entry {
  readonly name: string;
  readonly data: Uint8Array;
  readonly crc: number;
}

/** A zip of stored entries whose contents begin at multiples of 64 bytes, padded by an extra field "FB". */
function* zipChunks(entries: readonly Entry[]): Generator<Uint8Array> {
  const central: Uint8Array[] = [];
  let at = 0;
  for (const entry of entries) {
    const name = new TextEncoder().encode(entry.name);
    const { length } = entry.data;
    central.push(centralRecord(entry, name, at));
    const header = localHeader(name, at);
    at += header.length + length + 16;
    if (at > MAX_BYTES) {
      throw new OptionError(`The checkpoint takes more than ${MAX_BYTES} bytes.`, 'Write it as safetensors.');
    }
    yield header;
    yield entry.data;
    yield words([0x08074b50, entry.crc, length, length]);
  }
  const size = central.reduce((sum, record) => sum + record.length, 0);
  yield* central;
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, central.length, true);
  end.setUint16(10, central.length, true);
  end.setUint32(12, size, true);
  end.setUint32(16, at, true);
  yield new Uint8Array(end.buffer);
}

function words(values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  for (const [i, value] of values.entries()) view.setUint32(4 * i, value, true);
  return new Uint8Array(view.buffer);
}

/** @param at where it begins in the file. */
function localHeader(name: Uint8Array, at: number): Uint8Array {
  const start = at + LOCAL_SIZE + name.length + 4;
  const padding = (ALIGNMENT - (start % ALIGNMENT)) % ALIGNMENT;
  // torch fills the padding with Z.
  const bytes = new Uint8Array(LOCAL_SIZE + name.length + 4 + padding).fill(0x5a);
  bytes.fill(0, 0, LOCAL_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x04034b50, true);
  view.setUint16(6, FLAGS, true);
  view.setUint16(26, name.length, true);
  view.setUint16(28, 4 + padding, true);
  bytes.set(name, LOCAL_SIZE);
  view.setUint16(LOCAL_SIZE + name.length, 0x4246, true); // "FB"
  view.setUint16(LOCAL_SIZE + name.length + 2, padding, true);
  return bytes;
}

function centralRecord({ data, crc }: Entry, name: Uint8Array, at: number): Uint8Array {
  const bytes = new Uint8Array(CENTRAL_SIZE + name.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x02014b50, true);
  view.setUint16(8, FLAGS, true);
  view.setUint32(16, crc, true);
  view.setUint32(20, data.length, true);
  view.setUint32(24, data.length, true);
  view.setUint16(28, name.length, true);
  view.setUint32(42, at, true);
  bytes.set(name, CENTRAL_SIZE);
  return bytes;
}
