/** Stored numbers as bytes: sizes, and widening to f32. Little-endian, as every platform with WebGPU is. */
import type { StoredDtype } from '../model/tensor-source';
import { decodeF16 } from '../runtime/float16';

const SIZES: ReadonlyMap<string, number> = new Map<StoredDtype, number>([
  ['BOOL', 1],
  ['U8', 1],
  ['I8', 1],
  ['U16', 2],
  ['I16', 2],
  ['U32', 4],
  ['I32', 4],
  ['U64', 8],
  ['I64', 8],
  ['F16', 2],
  ['BF16', 2],
  ['F32', 4],
  ['F64', 8],
]);

/** Bytes of one element. */
export function dtypeSize(dtype: StoredDtype): number {
  return SIZES.get(dtype)!;
}

export function isStoredDtype(text: string): text is StoredDtype {
  return SIZES.has(text);
}

function alignedTo(size: number, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return bytes.byteOffset % size === 0 ? bytes : bytes.slice();
}

/** F16 elements as their bits. @param bytes whole elements, at any alignment. */
export function halvesOf(bytes: Uint8Array<ArrayBuffer>): Uint16Array<ArrayBuffer> {
  const aligned = alignedTo(2, bytes);
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2);
}

function decodeBf16(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16;
  return new Float32Array(bits.buffer);
}

/** 64-bit integers: beyond 2^53 the nearest f32 is taken of the nearest double. */
function fromBigInts(values: BigInt64Array | BigUint64Array): Float32Array<ArrayBuffer> {
  const out = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = Number(values[i]);
  return out;
}

/**
 * Elements of any stored dtype as f32: exact for F16, BF16, F32 and small integers, rounded for the rest.
 * @param bytes whole elements, at any alignment. F32 is not copied where they are a buffer of their own.
 */
export function widen(bytes: Uint8Array<ArrayBuffer>, dtype: StoredDtype): Float32Array<ArrayBuffer> {
  const size = dtypeSize(dtype);
  const aligned = alignedTo(size, bytes);
  const where = [aligned.buffer, aligned.byteOffset, aligned.byteLength / size] as const;
  switch (dtype) {
    case 'F32':
      // A part of a larger buffer may be memory that others see.
      return aligned.byteLength === aligned.buffer.byteLength
        ? new Float32Array(aligned.buffer)
        : new Float32Array(new Float32Array(...where));
    case 'F16':
      return decodeF16(halvesOf(bytes));
    case 'BF16':
      return decodeBf16(new Uint16Array(...where));
    case 'F64':
      return new Float32Array(new Float64Array(...where));
    case 'BOOL':
      return Float32Array.from(aligned, (value) => (value ? 1 : 0));
    case 'U8':
      return new Float32Array(aligned);
    case 'I8':
      return new Float32Array(new Int8Array(...where));
    case 'U16':
      return new Float32Array(new Uint16Array(...where));
    case 'I16':
      return new Float32Array(new Int16Array(...where));
    case 'U32':
      return new Float32Array(new Uint32Array(...where));
    case 'I32':
      return new Float32Array(new Int32Array(...where));
    case 'U64':
      return fromBigInts(new BigUint64Array(...where));
    case 'I64':
      return fromBigInts(new BigInt64Array(...where));
  }
}
