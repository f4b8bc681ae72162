/** Tensors of one source under other names, shapes or orders, read lazily. */
import { elementCount, type TensorInfo, type TensorSource } from '../model/tensor-source';
import { BadFileError } from '../runtime/errors';
import { shownName } from './safetensors-header';

/** How one tensor of a view comes from stored ones. */
export interface Derived {
  readonly info: TensorInfo;
  /** Elements [start, end), f32; the range is inside the tensor. */
  read(start: number, end: number): Promise<Float32Array<ArrayBuffer>>;
  /** As `TensorSource.readHalves`. */
  readHalves?(start: number, end: number): Promise<Uint16Array<ArrayBuffer>> | undefined;
}

/** @throws BadFileError unless [start, end) are elements of the tensor. */
export function checkElements(label: string, info: TensorInfo, start: number, end: number): void {
  const whole = Number.isInteger(start) && Number.isInteger(end);
  if (!whole || start < 0 || end < start || end > elementCount(info.shape))
    throw new BadFileError(label, `${shownName(info.name)} has no elements [${start}, ${end})`);
}

/** A source of derived tensors; label, metadata and closing are the origin's. */
export function tensorView(
  origin: Pick<TensorSource, 'label' | 'metadata' | 'recycle' | 'trim' | 'close'>,
  derived: ReadonlyMap<string, Derived>,
): TensorSource {
  const { label, metadata } = origin;
  return {
    label,
    metadata,
    tensors: new Map([...derived].map(([name, { info }]) => [name, info])),
    async read(name, start = 0, end?: number) {
      const found = derived.get(name);
      if (!found) throw new BadFileError(label, `there is no tensor ${shownName(name)}`);
      const stop = end ?? elementCount(found.info.shape);
      checkElements(label, found.info, start, stop);
      return found.read(start, stop);
    },
    readHalves(name, start, end) {
      const found = derived.get(name);
      if (!found) return undefined;
      checkElements(label, found.info, start, end);
      return found.readHalves?.(start, end);
    },
    recycle: (values) => origin.recycle?.(values),
    trim: () => origin.trim?.(),
    close: () => origin.close(),
  };
}

/** The stored tensor as it is, under another name. */
export function renamed(origin: TensorSource, stored: TensorInfo, name: string): Derived {
  return {
    info: { name, dtype: stored.dtype, shape: stored.shape },
    read: (start, end) => origin.read(stored.name, start, end),
    readHalves: (start, end) => origin.readHalves?.(stored.name, start, end),
  };
}

/** A stored matrix [R, C] as [C, R]; every read takes the whole matrix. */
export function transposed(origin: TensorSource, stored: TensorInfo, name: string): Derived {
  const [rows, columns] = stored.shape as [number, number];
  return {
    info: { name, dtype: stored.dtype, shape: [columns, rows] },
    async read(start, end) {
      const values = await origin.read(stored.name);
      const out = new Float32Array(end - start);
      for (let i = start; i < end; i++) out[i - start] = values[(i % rows) * columns + Math.floor(i / rows)]!;
      origin.recycle?.(values);
      return out;
    },
  };
}

/** Tensors of equal shape [R, ...] one after the other: [n R, ...]. Only the parts that a range touches are read. */
export function stacked(origin: TensorSource, parts: readonly TensorInfo[], name: string): Derived {
  const [rows, ...rest] = parts[0]!.shape as [number, ...number[]];
  const size = elementCount(parts[0]!.shape);
  /** What of each part lies in [start, end). */
  const touched = (start: number, end: number) =>
    parts.flatMap((part, i) => {
      const from = Math.max(start, i * size);
      const to = Math.min(end, (i + 1) * size);
      return from < to
        ? [{ part: part.name, from: from - i * size, to: to - i * size, at: from - start }]
        : [];
    });
  return {
    info: { name, dtype: parts[0]!.dtype, shape: [rows * parts.length, ...rest] },
    async read(start, end) {
      const out = new Float32Array(end - start);
      for (const { part, from, to, at } of touched(start, end)) {
        const values = await origin.read(part, from, to);
        out.set(values, at);
        origin.recycle?.(values);
      }
      return out;
    },
    readHalves(start, end) {
      const reads = touched(start, end).map(({ part, from, to, at }) => ({
        at,
        halves: origin.readHalves?.(part, from, to),
      }));
      if (reads.some(({ halves }) => halves === undefined)) {
        for (const { halves } of reads) halves?.catch(() => {});
        return undefined;
      }
      return Promise.all(reads.map(({ halves }) => halves!)).then((found) => {
        const out = new Uint16Array(end - start);
        for (const [i, halves] of found.entries()) {
          out.set(halves, reads[i]!.at);
          origin.recycle?.(halves);
        }
        return out;
      });
    },
  };
}
