/** Where the rows of a memory bank come from: a file, features as a model computes them, or a spill of those. */
import { ValueError } from '../runtime/errors';
import type { BankTensor } from './memory-bank-tensors';
import type { Spill } from './spill';
import type { TensorSource } from './tensor-source';

/** Rows [first, first + n) of a tensor, of length 1. */
export interface BankChunk {
  /** Index in `tensors`. */
  readonly tensor: number;
  readonly first: number;
  readonly rows: Float32Array<ArrayBuffer>;
}

export interface BankSource {
  readonly tensors: readonly BankTensor[];
  /** All rows of all tensors, once; a tensor's in order. */
  chunks(): AsyncIterable<BankChunk>;
  /** Rows [first, end) of a tensor, as often as wanted; without it they can be had from `chunks` only. */
  readonly read?: (tensor: number, first: number, end: number) => Promise<Float32Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** Values read from a file at once: 16 MB. */
const CHUNK = 4 * 1024 * 1024;

/** As torch.nn.functional.normalize(eps=1e-8): shorter rows are not blown up. */
const EPS = 1e-8;

/**
 * Makes rows [n, cols] of length 1, in place; sums are f64.
 * @throws ValueError for NaN and infinity. @param remedy for them.
 */
export function toUnitRows(
  rows: Float32Array<ArrayBuffer>,
  cols: number,
  remedy: string,
): Float32Array<ArrayBuffer> {
  for (let start = 0; start < rows.length; start += cols) {
    let squares = 0;
    for (let c = start; c < start + cols; c++) squares += rows[c]! * rows[c]!;
    if (!Number.isFinite(squares)) throw new ValueError('A row of the memory bank is not finite.', remedy);
    const scale = 1 / Math.max(Math.sqrt(squares), EPS);
    for (let c = start; c < start + cols; c++) rows[c] = rows[c]! * scale;
  }
  return rows;
}

/** The rows of a bank file, whatever their length. @param close closes the file. */
export function storedRows(
  source: TensorSource,
  tensors: readonly BankTensor[],
  close: () => Promise<void>,
): BankSource {
  const read = async (tensor: number, first: number, end: number) => {
    const { name, shape } = tensors[tensor]!;
    const cols = shape[1];
    const values = await source.read(name, first * cols, end * cols);
    return toUnitRows(values, cols, `${source.label} is damaged: write the bank again.`);
  };
  return {
    tensors,
    read,
    async *chunks() {
      for (const [tensor, { shape }] of tensors.entries()) {
        const step = Math.max(1, Math.floor(CHUNK / shape[1]));
        for (let first = 0; first < shape[0]; first += step)
          yield { tensor, first, rows: await read(tensor, first, Math.min(first + step, shape[0])) };
      }
    },
    close,
  };
}

/** The same rows, to be read as often as wanted. @param entryRows rows of an entry; all chunks begin and end with one. */
export async function spilledRows(
  source: BankSource,
  entryRows: number,
  openSpill: (entryBytes: number) => Promise<Spill>,
): Promise<BankSource> {
  const { tensors } = source;
  const [rows, cols] = tensors[0]!.shape;
  const entries = Math.ceil(rows / entryRows);
  const size = entryRows * cols;
  const spill = await openSpill(size * 4);
  try {
    for await (const { tensor, first, rows: values } of source.chunks()) {
      for (let at = 0; at < values.length; at += size) {
        const entry = tensor * entries + first / entryRows + at / size;
        await spill.write(entry, new Uint8Array(values.buffer, values.byteOffset + at * 4, size * 4));
      }
    }
  } catch (error) {
    await spill.close();
    throw error;
  }
  return {
    ...source,
    async read(tensor, first, end) {
      const out = new Float32Array((end - first) * cols);
      for (let row = first; row < end; ) {
        const entry = Math.floor(row / entryRows);
        const stop = Math.min((entry + 1) * entryRows, end);
        const bytes = await spill.read(tensor * entries + entry);
        const values = new Float32Array(bytes.buffer, bytes.byteOffset, size);
        const from = row - entry * entryRows;
        out.set(values.subarray(from * cols, (from + stop - row) * cols), (row - first) * cols);
        row = stop;
      }
      return out;
    },
    close: () => spill.close(),
  };
}
