/** Streams the weights that a graph names from their files to the GPU, chunk by chunk. */
import type { BufferStore } from '../runtime/buffer-store';
import { BadFileError, ValueError } from '../runtime/errors';
import type { Graph, Tensor } from '../runtime/graph';
import { BYTES, sizeOf } from '../runtime/tensor-type';
import { resizePositionEmbedding } from './bicubic';
import { elementCount, type TensorSource } from './tensor-source';
import { derivation } from './weight-names';

/** Elements read at once: 16 MB of f32. Even, as f16 uploads need. */
const CHUNK = 4 * 1024 * 1024;

/** Largest finite f16. */
const F16_MAX = 65504;

export interface LoadProgress {
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

/** Where weights go: a store on the device, or whatever takes them as it does. */
export type WeightSink = Pick<BufferStore, 'has' | 'create' | 'write' | 'flush' | 'remove'>;

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
  // Everything is checked before the first byte moves.
  const plans = missing.map(([name, tensor]) => ({ name, tensor, source: sourceOf(name, tensor, sources) }));
  const totalBytes = plans.reduce((sum, { tensor }) => sum + sizeOf(tensor.type) * BYTES[tensor.dtype], 0);
  let loadedBytes = 0;
  try {
    for (const { name, tensor, source } of plans) {
      await store.create(name, tensor.type);
      for await (const [start, values] of chunks(name, tensor, source)) {
        checkValues(values, tensor, derivation(name).from, source.label);
        await store.write(name, values, start);
        loadedBytes += values.length * BYTES[tensor.dtype];
        onProgress?.({ loadedBytes, totalBytes });
      }
    }
    if (plans.length > 0) await store.flush();
  } catch (error) {
    // A refused or half-written tensor must not pass for a loaded one at the next attempt.
    for (const { name } of plans) store.remove(name);
    throw error;
  }
}

function sourceOf(name: string, tensor: Tensor, sources: readonly TensorSource[]): TensorSource {
  const { from, kind } = derivation(name);
  const source = sources.find((s) => s.tensors.has(from));
  if (!source) {
    throw new BadFileError(
      sources[0]?.label ?? 'weights',
      `the tensor ${from} is missing`,
      'Use a complete CLIP checkpoint.',
    );
  }
  const stored = elementCount(source.tensors.get(from)!.shape);
  const wanted = sizeOf(tensor.type);
  if (kind !== 'resized' && stored < wanted) {
    throw new BadFileError(
      source.label,
      `the tensor ${from} has ${stored} values, the model needs ${wanted} ([${tensor.shape}])`,
      'Use weights and checkpoint that belong together.',
    );
  }
  return source;
}

async function* chunks(
  name: string,
  tensor: Tensor,
  source: TensorSource,
): AsyncGenerator<[start: number, values: Float32Array<ArrayBuffer>]> {
  const how = derivation(name);
  if (how.kind === 'stored') {
    const total = sizeOf(tensor.type);
    for (let start = 0; start < total; start += CHUNK) {
      yield [start, await source.read(how.from, start, Math.min(start + CHUNK, total))];
    }
    return;
  }
  const values = await source.read(how.from);
  if (how.kind === 'transposed') {
    const [rows, cols] = tensor.shape as readonly [number, number];
    const turned = new Float32Array(values.length);
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < cols; c++) turned[r * cols + c] = values[c * rows + r]!;
    yield [0, turned];
    return;
  }
  const width = tensor.shape[1]!;
  const from = Math.round(Math.sqrt(values.length / width - 1));
  yield [0, resizePositionEmbedding(values, from, how.grid, width)];
}

function checkValues(values: Float32Array, tensor: Tensor, name: string, label: string): void {
  const limit = tensor.dtype === 'f16' ? F16_MAX : Number.MAX_VALUE;
  for (let i = 0; i < values.length; i++) {
    const v = values[i]!;
    if (Math.abs(v) <= limit) continue;
    if (Number.isFinite(v)) {
      throw new ValueError(`${label}: ${name} holds ${v}, which f16 cannot store.`, 'Use --precision f32.');
    }
    throw new ValueError(
      `${label}: ${name} holds ${v}.`,
      'The checkpoint is damaged or diverged: use another one.',
    );
  }
}
