import { elementCount, type TensorSource } from '../model/tensor-source';
import { BadFileError } from '../runtime/errors';
import type { ByteSource } from './bytes';
import { dtypeSize, halvesOf, widen } from './numbers';
import { type HeaderEntry, scanHeader, shownName } from './safetensors-header';
import { checkElements } from './tensor-view';

/** Real headers take some 100 KB; a bigger one would only cost time and memory. */
const MAX_HEADER = 16 * 2 ** 20;

/** @throws BadFileError unless the tensors' bytes follow each other without hole or overlap up to the file's end. */
function checkTiling(file: string, entries: Iterable<HeaderEntry>, base: number, size: number): void {
  const sorted = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  for (const entry of sorted) {
    const at = base + entry.begin;
    if (entry.begin < end)
      throw new BadFileError(file, `the tensor ${shownName(entry.name)} overlaps another`, undefined, at);
    if (entry.begin > end)
      throw new BadFileError(file, `a hole lies before ${shownName(entry.name)}`, undefined, base + end);
    if (base + entry.end > size) {
      const fact = `it ends after ${size} bytes, but the tensor ${shownName(entry.name)} ends at ${base + entry.end}`;
      throw new BadFileError(file, fact, undefined, at);
    }
    end = entry.end;
  }
  if (base + end !== size)
    throw new BadFileError(file, 'bytes follow the last tensor', undefined, base + end);
}

async function headerLength(bytes: ByteSource): Promise<number> {
  const { label, size } = bytes;
  if (size < 8)
    throw new BadFileError(label, size ? 'it is too short for a safetensors file' : 'it is empty');
  const start = await bytes.read(0, 8);
  const length = new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true);
  if (length > size - 8) {
    const fact = `it has ${size} bytes, but claims a safetensors header of ${length}`;
    throw new BadFileError(label, fact, 'It is cut short or no safetensors file.', 0);
  }
  if (length > MAX_HEADER) {
    const fact = `its safetensors header of ${length} bytes is larger than ${MAX_HEADER}`;
    throw new BadFileError(label, fact, 'No CLIP needs that; fetch or export the file again.', 0);
  }
  return Number(length);
}

/**
 * Opens a safetensors file. Only its header is read here; tensors are read by range, widened to f32.
 * Closing the tensors closes the bytes.
 * @throws BadFileError when the header is malformed or does not describe exactly the file's bytes.
 */
export async function openSafetensors(bytes: ByteSource): Promise<TensorSource> {
  const { label } = bytes;
  const length = await headerLength(bytes);
  const base = 8 + length;
  const { entries, metadata } = scanHeader(label, await bytes.read(8, length), 8);
  checkTiling(label, entries.values(), base, bytes.size);
  const stored = async (entry: HeaderEntry, start: number, end: number) => {
    checkElements(label, entry, start, end);
    const size = dtypeSize(entry.dtype);
    return bytes.read(base + entry.begin + start * size, (end - start) * size);
  };
  return {
    label,
    tensors: entries,
    metadata,
    async read(name, start = 0, end?: number) {
      const entry = entries.get(name);
      if (!entry) throw new BadFileError(label, `there is no tensor ${shownName(name)}`);
      const found = await stored(entry, start, end ?? elementCount(entry.shape));
      const values = widen(found, entry.dtype);
      if (values.buffer !== found.buffer) bytes.recycle?.(found.buffer);
      return values;
    },
    readHalves(name, start, end) {
      const entry = entries.get(name);
      return entry?.dtype === 'F16' ? stored(entry, start, end).then(halvesOf) : undefined;
    },
    recycle: ({ buffer }) => bytes.recycle?.(buffer),
    trim: () => bytes.trim?.(),
    close: () => bytes.close(),
  };
}
