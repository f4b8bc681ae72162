/** The weights of a block or tower as one flat file that all engines read: no engine makes its own, none is sent by message. */
import { type FileHandle, open } from 'node:fs/promises';
import { writeAll } from '../../src/io/node/write-file';
import { syntheticClip } from '../../src/model/synthetic';
import { loadWeights } from '../../src/model/weight-loader';
import type { Precision } from '../../src/runtime/device';
import { decodeF16, encodeF16 } from '../../src/runtime/float16';
import { BYTES, sizeOf, type TensorType } from '../../src/runtime/tensor-type';
import { type BlockWork, type TowerWork, transpose, visionWeights } from './workloads';

export interface StoredTensor {
  readonly shape: readonly number[];
  readonly offset: number;
  readonly bytes: number;
}

/** Plain data: goes through messages. */
export interface WeightsIndex {
  readonly path: string;
  readonly dtype: Precision;
  readonly tensors: Readonly<Record<string, StoredTensor>>;
}

/** Matrices of Linear layers, stored [in, out] here: what matrix products of the peers read. */
const LINEAR = /\.(in_proj_weight|out_proj\.weight|c_fc\.weight|c_proj\.weight)$/;
/** Offsets that files can be mapped at. */
const ALIGNMENT = 4096;

/** Writes stand-in weights, rounded to `dtype`, to `path`. */
export async function writeWeights(
  path: string,
  work: BlockWork | TowerWork,
  dtype: Precision,
): Promise<WeightsIndex> {
  const file = await open(path, 'w');
  try {
    const sink = new FileSink(file, dtype);
    await loadWeights({ weights: visionWeights(work) }, sink, [syntheticClip(work.model)]);
    return { path, dtype, tensors: Object.fromEntries(sink.tensors) };
  } finally {
    await file.close();
  }
}

/** One tensor's values, widened to f32. */
export async function readWeight(index: WeightsIndex, name: string): Promise<Float32Array<ArrayBuffer>> {
  const { offset, bytes } = index.tensors[name]!;
  const file = await open(index.path, 'r');
  try {
    const buffer = new ArrayBuffer(bytes);
    const { bytesRead } = await file.read(new Uint8Array(buffer), 0, bytes, offset);
    if (bytesRead !== bytes) throw new Error(`${name}: ${bytesRead} bytes instead of ${bytes}`);
    return index.dtype === 'f16' ? decodeF16(new Uint16Array(buffer)) : new Float32Array(buffer);
  } finally {
    await file.close();
  }
}

/** Takes what `loadWeights` gives to a store on a device. */
class FileSink {
  readonly tensors = new Map<string, StoredTensor>();
  readonly #types = new Map<string, TensorType>();
  #end = 0;
  #pending: { name: string; values: Float32Array; have: number } | undefined;

  constructor(
    private readonly file: FileHandle,
    private readonly dtype: Precision,
  ) {}

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  async createAll(tensors: readonly (readonly [name: string, type: TensorType])[]): Promise<void> {
    for (const [name, type] of tensors) this.#types.set(name, type);
  }

  async write(name: string, values: Float32Array | Uint16Array, start = 0): Promise<void> {
    const type = this.#types.get(name)!;
    if (this.#pending?.name !== name)
      this.#pending = { name, values: new Float32Array(sizeOf(type)), have: 0 };
    const pending = this.#pending;
    pending.values.set(values instanceof Uint16Array ? decodeF16(values) : values, start);
    pending.have += values.length;
    if (pending.have === pending.values.length) await this.#store(name, type, pending.values);
  }

  async flush(): Promise<void> {}

  remove(name: string): void {
    this.tensors.delete(name);
  }

  async #store(name: string, type: TensorType, values: Float32Array): Promise<void> {
    const [rows = 1, columns = 1] = type.shape;
    const turned = LINEAR.test(name);
    const ordered = turned ? transpose(values, rows, columns) : values;
    const data = this.dtype === 'f16' ? encodeF16(ordered) : ordered;
    const bytes = ordered.length * BYTES[this.dtype];
    await writeAll(this.file, new Uint8Array(data.buffer, data.byteOffset, bytes), this.#end);
    this.tensors.set(name, { shape: turned ? [columns, rows] : type.shape, offset: this.#end, bytes });
    this.#end += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
  }
}
