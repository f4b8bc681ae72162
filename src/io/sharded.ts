/** Checkpoints in several files with an index: Hugging Face's `*.safetensors.index.json` and `*.bin.index.json`. */
import type { TensorInfo, TensorSource } from '../model/tensor-source';
import { BadFileError } from '../runtime/errors';
import type { ByteSource } from './bytes';
import { openSafetensors } from './safetensors';
import { shownName } from './safetensors-header';
import { type Derived, renamed, tensorView } from './tensor-view';

/** Opens a file in the same folder. @throws BadFileError when there is none. */
export type Siblings = (name: string) => Promise<ByteSource>;

type OpenShard = (bytes: ByteSource) => Promise<TensorSource>;

const MAX_INDEX = 16 * 2 ** 20;
const MAX_SHARDS = 1000;
/** A name that stays in its folder on every system. */
const PLAIN_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$/;

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Tensor names and the shard of each. */
async function readIndex(index: ByteSource): Promise<Map<string, string>> {
  const { label, size } = index;
  const bad = (detail: string, cause?: unknown) =>
    new BadFileError(label, detail, 'Fetch the index again.', undefined, { cause });
  if (size > MAX_INDEX) throw bad(`an index of ${size} bytes is larger than ${MAX_INDEX}`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(await index.read(0, size)));
  } catch (cause) {
    if (cause instanceof BadFileError) throw cause;
    throw bad('it is not JSON', cause);
  }
  const map = isRecord(json) ? json.weight_map : undefined;
  if (!isRecord(map)) {
    const remedy = 'Give a safetensors file, or the model.safetensors.index.json beside the shards.';
    throw new BadFileError(label, 'it is JSON, but no index of shards (no weight_map)', remedy);
  }
  const shards = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map)) {
    if (typeof shard !== 'string' || !PLAIN_NAME.test(shard)) {
      const shown = typeof shard === 'string' ? shownName(shard) : `of type ${typeof shard}`;
      const remedy = 'Shards lie beside the index; fetch it from a source that you trust.';
      throw new BadFileError(label, `it names the shard ${shown}, which is no plain file name`, remedy);
    }
    shards.set(tensor, shard);
  }
  if (shards.size === 0) throw bad('its weight_map is empty');
  return shards;
}

async function openShards(
  label: string,
  names: readonly string[],
  siblings: Siblings,
  open: OpenShard,
): Promise<Map<string, TensorSource>> {
  const opened = new Map<string, TensorSource>();
  const missing: string[] = [];
  let cause: unknown;
  try {
    for (const name of names) {
      const bytes = await siblings(name).catch((error: unknown) => {
        cause = error;
        missing.push(name);
      });
      if (bytes) opened.set(name, await openOrClose(bytes, open));
    }
    if (missing.length > 0) {
      const some = missing.slice(0, 5).join(', ') + (missing.length > 5 ? ', ...' : '');
      const fact = `${missing.length} of its ${names.length} shards cannot be opened: ${some}`;
      throw new BadFileError(label, fact, 'Put all shards beside the index.', undefined, { cause });
    }
    return opened;
  } catch (error) {
    await closeAll(opened.values());
    throw error;
  }
}

async function openOrClose(bytes: ByteSource, open: OpenShard): Promise<TensorSource> {
  try {
    return await open(bytes);
  } catch (error) {
    await bytes.close();
    throw error;
  }
}

async function closeAll(sources: Iterable<TensorSource>): Promise<void> {
  await Promise.all([...sources].map((source) => source.close()));
}

/**
 * Opens a checkpoint of several files as one. The index and all shards close with the result.
 * @param index the bytes of the `*.index.json`.
 * @param open how a shard is opened: safetensors unless told.
 * @throws BadFileError for a malformed index, a shard name that leaves the folder, missing shards (up to five are named), or a
 * tensor that is not where the index says.
 */
export async function openSharded(
  index: ByteSource,
  siblings: Siblings,
  open: OpenShard = openSafetensors,
): Promise<TensorSource> {
  const { label } = index;
  const places = await readIndex(index);
  const names = [...new Set(places.values())];
  if (names.length > MAX_SHARDS) throw new BadFileError(label, `it names ${names.length} shards`);
  const shards = await openShards(label, names, siblings, open);
  const derived = new Map<string, Derived>();
  const metadata = new Map<string, string>();
  const close = async () => {
    await closeAll(shards.values());
    await index.close();
  };
  for (const [name, place] of places) {
    const shard = shards.get(place)!;
    const info: TensorInfo | undefined = shard.tensors.get(name);
    if (!info) {
      await closeAll(shards.values());
      const fact = `the tensor ${shownName(name)} is not in ${place}, where it should be`;
      throw new BadFileError(label, fact, 'Fetch index and shards again, of one version.');
    }
    derived.set(name, renamed(shard, info, name));
  }
  for (const shard of shards.values()) for (const [key, value] of shard.metadata) metadata.set(key, value);
  // A shard takes back what it gave, and nothing else.
  const recycle: TensorSource['recycle'] = (values) => {
    for (const shard of shards.values()) shard.recycle?.(values);
  };
  const trim = () => {
    for (const shard of shards.values()) shard.trim?.();
  };
  return tensorView({ label, metadata, recycle, trim, close }, derived);
}
