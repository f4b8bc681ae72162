/**
 * What a training run saves, and its safetensors form: parameters under our names, optimiser slots under `slots.`, and
 * checksums in the metadata, so that a file that was damaged on its way is refused and not trained on.
 */
import { elementCount, type TensorInfo, type TensorSource } from '../model/tensor-source';
import { crc32 } from '../runtime/crc32';
import { BadFileError, OptionError, ShapeError, ValueError } from '../runtime/errors';
import type { SavedTensor, TrainingState } from '../training/state';
import { shownName } from './safetensors-header';
import { safetensorsChunks, safetensorsHeader, type TensorToWrite } from './write-safetensors';

/** Keeps slots apart from parameters, whatever either is called. */
const SLOTS = 'slots.';
const CHECKSUMS = 'crc32';
const DIGEST = 'digest';
const REMEDY = 'Use the generation before it, or another copy.';

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}

/** By code units, the same on every machine and in every language. */
function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/**
 * Over all other metadata, and over names and shapes as well: a [2,8] that became an [8,2] has the same bytes and checksum.
 */
function digestOf(
  metadata: ReadonlyMap<string, string>,
  tensors: Iterable<Omit<TensorInfo, 'dtype'>>,
): string {
  const pairs = [...metadata].filter(([key]) => key !== DIGEST).sort(byKey);
  const shapes = [...tensors].map(({ name, shape }) => [name, shape] as const).sort(byKey);
  return hex(crc32(new TextEncoder().encode(JSON.stringify([pairs, shapes]))));
}

function checkMetadata(metadata: ReadonlyMap<string, string>): void {
  for (const key of [CHECKSUMS, DIGEST])
    if (metadata.has(key)) throw new OptionError(`The metadata key ${key} is written by the file itself.`);
  // JSON could hold it, but strict readers, ours too, refuse the file.
  for (const [key, value] of metadata)
    if (/\p{Surrogate}/u.test(key + value))
      throw new OptionError(`The metadata ${shownName(key)} holds half a surrogate pair.`);
}

/** @throws ValueError: a state with NaN must never replace a good one. */
export function checkFinite(name: string, values: Float32Array): void {
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    const fact = `${name} is not saved: its element ${i} is ${values[i]}.`;
    throw new ValueError(
      fact,
      'Training diverged; lower the learning rate and resume from the last saved step.',
    );
  }
}

function toWrite(name: string, { shape, values }: SavedTensor): TensorToWrite {
  checkFinite(name, values);
  return { name, dtype: 'F32', shape, data: values };
}

/**
 * The state as a safetensors file, the same bytes for the same state: tensors and metadata sorted by name, and beside the
 * metadata `crc32` (JSON: each tensor's checksum) and `digest` (over everything else in the header). The chunks are views: values
 * must not change before they are written.
 * @throws ValueError for NaN or infinity. @throws ShapeError for values that do not fit their shape, or a parameter called
 * `slots.`. @throws OptionError for metadata that a file cannot hold.
 */
export function* trainingStateChunks(state: TrainingState): Generator<Uint8Array> {
  checkMetadata(state.metadata);
  for (const name of state.parameters.keys())
    if (name.startsWith(SLOTS)) throw new ShapeError(`The parameter ${name} is called like a slot.`);
  const all = [...state.parameters, ...[...state.slots].map(([name, slot]) => [SLOTS + name, slot] as const)];
  const tensors = all.sort(byKey).map(([name, tensor]) => toWrite(name, tensor));
  const checksums = tensors.map(({ name, data }) => [name, crc32(bytesOf(data as Float32Array))] as const);
  const metadata = new Map([...state.metadata]);
  // Member by member: an object would put names that look like numbers first.
  const members = checksums.map(([name, crc]) => `${JSON.stringify(name)}:${crc}`);
  metadata.set(CHECKSUMS, `{${members}}`);
  metadata.set(DIGEST, digestOf(metadata, tensors));
  yield* safetensorsChunks(tensors, new Map([...metadata].sort(byKey)));
}

/** The state without slots: the file that `detect --checkpoint` loads. As `trainingStateChunks` otherwise. */
export function modelChunks(state: TrainingState): Generator<Uint8Array> {
  return trainingStateChunks({ ...state, slots: new Map() });
}

/** @returns each tensor's checksum. @throws BadFileError unless the header is the one that was written. */
function checkHeader({ label, tensors, metadata }: TensorSource): ReadonlyMap<string, unknown> {
  const text = metadata.get(CHECKSUMS);
  const digest = metadata.get(DIGEST);
  if (text === undefined && digest === undefined) {
    throw new BadFileError(
      label,
      'it is no state of a training run: it holds no checksums',
      'Give a file that training saved here; checkpoints from elsewhere cannot be resumed.',
    );
  }
  if (text === undefined || digest !== digestOf(metadata, tensors.values()))
    throw new BadFileError(label, 'its header is damaged: the digest is another', REMEDY);
  let checksums: unknown;
  try {
    checksums = JSON.parse(text);
  } catch (cause) {
    throw new BadFileError(label, 'its checksums are damaged', REMEDY, undefined, { cause });
  }
  return new Map(Object.entries(checksums ?? {}));
}

/**
 * Reads a saved state and checks every byte of it. The source stays open. `crc32` and `digest` are not in the result's metadata,
 * so that writing it again gives the same file.
 * @throws BadFileError naming the tensor that is damaged, missing or not f32; with a remedy for a file that no training saved.
 */
export async function readTrainingState(source: TensorSource): Promise<TrainingState> {
  const { label } = source;
  const checksums = checkHeader(source);
  for (const name of checksums.keys())
    if (!source.tensors.has(name))
      throw new BadFileError(label, `the tensor ${shownName(name)} is missing`, REMEDY);
  const parameters = new Map<string, SavedTensor>();
  const slots = new Map<string, SavedTensor>();
  for (const { name, dtype, shape } of source.tensors.values()) {
    if (dtype !== 'F32')
      throw new BadFileError(label, `the tensor ${shownName(name)} is ${dtype}, not F32`, REMEDY);
    const values = await source.read(name);
    const [found, wanted] = [crc32(bytesOf(values)), checksums.get(name)];
    if (found !== wanted) {
      const sums = `CRC-32 ${hex(found)} instead of ${typeof wanted === 'number' ? hex(wanted) : 'none'}`;
      throw new BadFileError(label, `the tensor ${shownName(name)} is damaged: ${sums}`, REMEDY);
    }
    if (name.startsWith(SLOTS)) slots.set(name.slice(SLOTS.length), { shape, values });
    else parameters.set(name, { shape, values });
  }
  const metadata = new Map(source.metadata);
  metadata.delete(CHECKSUMS);
  metadata.delete(DIGEST);
  return { parameters, slots, metadata };
}

/**
 * A memory bank as a safetensors file. @param rows f32 values of the tensors, one after another, in chunks of any size.
 * @throws ShapeError when the chunks are not as many values as the tensors.
 */
export async function* memoryBankChunks(
  tensors: readonly Pick<TensorInfo, 'name' | 'shape'>[],
  rows: AsyncIterable<Float32Array>,
  metadata: ReadonlyMap<string, string>,
): AsyncGenerator<Uint8Array> {
  const infos = tensors.map(({ name, shape }) => ({ name, shape, dtype: 'F32' as const }));
  yield safetensorsHeader(infos, metadata);
  let left = infos.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  for await (const values of rows) {
    left -= values.length;
    yield bytesOf(values);
  }
  if (left !== 0) throw new ShapeError(`The memory bank's tensors and rows differ by ${left} values.`);
}
