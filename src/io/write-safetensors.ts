/** Writing safetensors, chunk by chunk. */
import { elementCount, type TensorInfo } from '../model/tensor-source';
import { ShapeError } from '../runtime/errors';
import { dtypeSize } from './numbers';

/** A tensor to write: `data` holds exactly the shape's elements in the dtype's own bits (F16 and BF16 as Uint16Array). */
export interface TensorToWrite extends TensorInfo {
  readonly data: ArrayBufferView;
}

/**
 * The header of a file whose tensors follow in the order given, padded so that the first begins at a multiple of 8 bytes.
 * @throws ShapeError for a name that comes twice.
 */
export function safetensorsHeader(
  infos: Iterable<TensorInfo>,
  metadata?: ReadonlyMap<string, string>,
): Uint8Array<ArrayBuffer> {
  const members: string[] = [];
  const names = new Set(['__metadata__']);
  if (metadata?.size) {
    const pairs = [...metadata].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
    members.push(`"__metadata__":{${pairs}}`);
  }
  let offset = 0;
  for (const { name, dtype, shape } of infos) {
    if (names.has(name)) throw new ShapeError(`Two tensors to be written are called ${name}.`);
    names.add(name);
    const end = offset + elementCount(shape) * dtypeSize(dtype);
    const facts = `"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${offset},${end}]`;
    members.push(`${JSON.stringify(name)}:{${facts}}`);
    offset = end;
  }
  const json = new TextEncoder().encode(`{${members}}`);
  const length = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + length).fill(0x20, 8);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return header;
}

/**
 * A whole file: its header, then each tensor's bytes (views, not copies).
 * @throws ShapeError for a name that comes twice or data that do not fit the shape.
 */
export function* safetensorsChunks(
  tensors: Iterable<TensorToWrite>,
  metadata?: ReadonlyMap<string, string>,
): Generator<Uint8Array> {
  const all = [...tensors];
  for (const { name, dtype, shape, data } of all) {
    const want = elementCount(shape) * dtypeSize(dtype);
    if (data.byteLength !== want)
      throw new ShapeError(`${name} has ${data.byteLength} bytes, ${dtype} [${shape}] takes ${want}.`);
  }
  yield safetensorsHeader(all, metadata);
  for (const { data } of all) yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
