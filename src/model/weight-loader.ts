/** Streams the weights that a graph names from their files to the GPU, chunk by chunk. */
import { BufferStore } from '../runtime/buffer-store';
import { BadFileError, DeviceLostError, ValueError } from '../runtime/errors';
import { decodeF16 } from '../runtime/float16';
import type { Graph, Tensor } from '../runtime/graph';
import { BYTES, type Dtype, sizeOf } from '../runtime/tensor-type';
import { resizePositionEmbedding } from './bicubic';
import { elementCount, type TensorSource } from './tensor-source';
import { WeightCast } from './weight-cast';
import { derivation, partsOf } from './weight-names';

/** Elements read at once: 16 MB of f32. Even, as f16 uploads need. */
const CHUNK = 4 * 1024 * 1024;

/** Elements that are read ahead while others are converted and uploaded. */
const AHEAD = 2 * CHUNK;

/** Bits of the largest finite values without their signs: 65504 as f32, and f32's own. */
const LARGEST = { f16: 0x477fe000, f32: 0x7f7fffff } as const;

/** Added to the bits of two binary16 numbers without their signs, it makes a sign of each that is not finite. */
const HALVES_OVER = 0x04000400;

export interface LoadProgress {
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

/** Where weights go: a store on the device, or whatever takes them as it does. */
export type WeightSink = Pick<BufferStore, 'has' | 'createAll' | 'write' | 'flush' | 'remove'>;

/**
 * Uploads every weight of `graph` that `store` does not hold yet. The first source that has a name supplies it.
 * @throws BadFileError for a missing or wrongly sized tensor, ValueError for NaN, infinity or f16 overflow: both name it.
 */
export async function loadWeights(
  graph: Pick<Graph, 'weights'>,
  store: WeightSink,
  sources: readonly TensorSource[],
  onProgress?: (progress: LoadProgress) => void,
): Promise<void> {
  const missing = [...graph.weights].filter(([name]) => !store.has(name));
  if (missing.length === 0) return;
  // Everything is checked before the first byte moves.
  const plans = missing.flatMap(([name, tensor]) => loadsOf(name, tensor, sources));
  const totalBytes = plans.reduce((sum, { tensor, size }) => sum + size * BYTES[tensor.dtype], 0);
  let loadedBytes = 0;
  let cast: WeightCast | undefined;
  try {
    if (store instanceof BufferStore) cast = await castFor(store, plans);
    await store.createAll(missing.map(([name, { type }]) => [name, type]));
    for await (const { name, part, tensor, source, start, values } of readAhead(plans)) {
      checkValues(values, tensor, derivation(part).from, source.label);
      await (cast?.takes(tensor.dtype, values, start) ? cast : store).write(name, values, start);
      source.recycle?.(values);
      loadedBytes += values.length * BYTES[tensor.dtype];
      onProgress?.({ loadedBytes, totalBytes });
    }
    await store.flush();
  } catch (error) {
    // A refused or half-written tensor must not pass for a loaded one at the next attempt.
    for (const { name } of plans) store.remove(name);
    throw error;
  } finally {
    cast?.destroy();
    for (const source of sources) source.trim?.();
  }
}

/** What converts on the device, if that is worth a kernel. A device that computes on the CPU is slower at it than the host. */
async function castFor(store: BufferStore, loads: readonly Load[]): Promise<WeightCast | undefined> {
  if (store.gpu.caps.software) return undefined;
  const wanted = new Set<'f32' | 'f16'>();
  let count = 0;
  for (const { part, tensor, source, size } of loads) {
    const halves = source.tensors.get(derivation(part).from)!.dtype === 'F16';
    if (tensor.dtype === 'u32' || halves === (tensor.dtype === 'f16')) continue;
    wanted.add(tensor.dtype);
    count += size;
  }
  if (count < CHUNK) return undefined;
  return WeightCast.create(store, wanted, CHUNK).catch((error: unknown) => {
    // The host can do it, too.
    if (error instanceof DeviceLostError) throw error;
    return undefined;
  });
}

/** f32 values, or the bits of a tensor that is stored as f16. */
type Values = Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;

/** One part of the tensor `name`, or all of it: `size` values from element `start` on. */
interface Load {
  readonly name: string;
  readonly part: string;
  readonly tensor: Tensor;
  readonly source: TensorSource;
  readonly start: number;
  readonly size: number;
}

/** What is read at once. */
interface Piece extends Load {
  read(): Promise<Values>;
}

/** The tensors piece by piece, in order. While one is taken, the next are on their way from the file. */
async function* readAhead(
  loads: readonly Load[],
): AsyncGenerator<Omit<Piece, 'read'> & { readonly values: Values }> {
  const pieces = loads.flatMap(piecesOf);
  const reads: Promise<Values>[] = [];
  let ahead = 0;
  let next = 0;
  try {
    for (const piece of pieces) {
      while (next < pieces.length && (reads.length === 0 || ahead < AHEAD)) {
        const { size, read } = pieces[next++]!;
        const values = read();
        values.catch(() => {}); // told when its turn comes
        reads.push(values);
        ahead += size;
      }
      const values = await reads.shift()!;
      ahead -= piece.size;
      yield { ...piece, values };
    }
  } finally {
    // The caller may close the file next.
    await Promise.allSettled(reads);
  }
}

function loadsOf(name: string, tensor: Tensor, sources: readonly TensorSource[]): Load[] {
  const parts = partsOf(name);
  const size = sizeOf(tensor.type) / parts.length;
  return parts.map((part, i) => {
    const source = sourceOf(part, size, tensor, sources);
    return { name, part, tensor, source, start: i * size, size };
  });
}

function sourceOf(
  part: string,
  wanted: number,
  tensor: Tensor,
  sources: readonly TensorSource[],
): TensorSource {
  const { from, kind } = derivation(part);
  const source = sources.find((s) => s.tensors.has(from));
  if (!source) {
    throw new BadFileError(
      sources[0]?.label ?? 'weights',
      `the tensor ${from} is missing`,
      'Use a complete CLIP checkpoint.',
    );
  }
  const stored = elementCount(source.tensors.get(from)!.shape);
  if (kind !== 'resized' && stored < wanted) {
    throw new BadFileError(
      source.label,
      `the tensor ${from} has ${stored} values, the model needs ${wanted} ([${tensor.shape}])`,
      'Use weights and checkpoint that belong together.',
    );
  }
  return source;
}

function piecesOf(load: Load): Piece[] {
  const { part, source, size } = load;
  const how = derivation(part);
  if (how.kind !== 'stored') return [{ ...load, read: () => derived(load) }];
  const pieces: Piece[] = [];
  for (let start = 0; start < size; start += CHUNK) {
    const end = Math.min(start + CHUNK, size);
    const read = async () =>
      (await source.readHalves?.(how.from, start, end)) ?? source.read(how.from, start, end);
    pieces.push({ ...load, start: load.start + start, size: end - start, read });
  }
  return pieces;
}

/** What is made of a stored tensor. */
async function derived({ part, tensor, source, size }: Load): Promise<Float32Array<ArrayBuffer>> {
  const how = derivation(part);
  const values = await source.read(how.from);
  if (how.kind === 'resized') {
    const width = tensor.shape[1]!;
    const from = Math.round(Math.sqrt(values.length / width - 1));
    return resizePositionEmbedding(values, from, how.grid, width);
  }
  const cols = tensor.shape[1]!;
  const rows = size / cols;
  const turned = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) turned[r * cols + c] = values[c * rows + r]!;
  return turned;
}

/** @throws ValueError for what is not finite or more than the tensor's dtype holds. */
function checkValues(values: Values, tensor: Tensor, name: string, label: string): void {
  const bad = values instanceof Uint16Array ? firstInfinite(values) : firstBeyond(values, tensor.dtype);
  if (bad === undefined) return;
  if (Number.isFinite(bad)) {
    throw new ValueError(`${label}: ${name} holds ${bad}, which f16 cannot store.`, 'Use --precision f32.');
  }
  throw new ValueError(
    `${label}: ${name} holds ${bad}.`,
    'The checkpoint is damaged or diverged: use another one.',
  );
}

/** The first value whose magnitude is more than the dtype's largest, or NaN. */
function firstBeyond(values: Float32Array<ArrayBuffer>, dtype: Dtype): number | undefined {
  // As whole numbers magnitudes compare like their values, infinity and NaN above all: those beyond become negative here. Four at
  // once and without a branch, for every weight passes through.
  const words = new Int32Array(values.buffer, values.byteOffset, values.length);
  const over = 0x7fffffff - (dtype === 'f16' ? LARGEST.f16 : LARGEST.f32);
  const beyond = (word: number) => (((word & 0x7fffffff) + over) | 0) < 0;
  const whole = words.length & ~3;
  let signs = 0;
  for (let i = 0; i < whole; i += 4)
    signs |=
      ((words[i]! & 0x7fffffff) + over) |
      ((words[i + 1]! & 0x7fffffff) + over) |
      ((words[i + 2]! & 0x7fffffff) + over) |
      ((words[i + 3]! & 0x7fffffff) + over);
  const from = signs < 0 ? 0 : whole;
  const at = words.subarray(from).findIndex(beyond);
  return at < 0 ? undefined : values[from + at];
}

/** The first value that is not finite. */
function firstInfinite(halves: Uint16Array<ArrayBuffer>): number | undefined {
  const infinite = (half: number) => (half & 0x7c00) === 0x7c00;
  const { buffer, byteOffset } = halves.byteOffset % 4 === 0 ? halves : halves.slice();
  const words = new Int32Array(buffer, byteOffset, halves.length >> 1);
  const whole = words.length & ~3;
  let signs = 0;
  for (let i = 0; i < whole; i += 4)
    signs |=
      ((words[i]! & 0x7fff7fff) + HALVES_OVER) |
      ((words[i + 1]! & 0x7fff7fff) + HALVES_OVER) |
      ((words[i + 2]! & 0x7fff7fff) + HALVES_OVER) |
      ((words[i + 3]! & 0x7fff7fff) + HALVES_OVER);
  const from = (signs & 0x80008000) === 0 ? 2 * whole : 0;
  const at = halves.subarray(from).findIndex(infinite);
  return at < 0 ? undefined : decodeF16(halves.subarray(from + at, from + at + 1))[0];
}
