/** Where the bytes of each frame lie: side by side when uncompressed, in fragments otherwise (PS3.5, A.4). */
import { BadImageError } from '../../../runtime/errors';
import { COPY_AGAIN } from '../../limits';
import type { Attributes } from './attributes';
import { type DataElement, type Fragment, PIXEL_DATA } from './elements';
import type { DicomImage } from './image';

/** Bits of one uncompressed frame. */
export function frameBits(image: DicomImage): number {
  const { rows, columns, samples, allocated, photometric, encoding } = image;
  const perPixel = photometric === 'YBR_FULL_422' && encoding === 'native' ? 2 : samples;
  return rows * columns * perPixel * allocated;
}

/**
 * @returns the bytes of frame i; of pictures with 1 bit a pixel the whole pixel data, as their frames share bytes.
 * @throws BadImageError when there are fewer frames than claimed, or the offset table lies.
 */
export function locateFrames(
  a: Attributes,
  image: DicomImage,
  name: string,
): (frame: number) => Uint8Array<ArrayBuffer> {
  const pixels = a.element(PIXEL_DATA)!;
  const { frames, encoding } = image;
  if (encoding === 'native') return nativeFrames(pixels, image, name);
  if (!pixels.fragments) {
    throw new BadImageError(name, 'its pixel data is not compressed, though its transfer syntax says so');
  }
  const [table, ...fragments] = pixels.fragments;
  if (!table || fragments.length === 0) throw new BadImageError(name, 'its pixel data is empty', COPY_AGAIN);
  if (frames === 1) return () => joined(fragments);
  const starts = frameStarts(table, a.element(0x7fe00001)?.bytes, fragments, image, name);
  return (frame) => joined(fragments.slice(starts[frame]!, starts[frame + 1] ?? fragments.length));
}

function nativeFrames(pixels: DataElement, image: DicomImage, name: string) {
  const bits = frameBits(image);
  const { bytes } = pixels;
  if (pixels.fragments) {
    throw new BadImageError(name, 'its pixel data is compressed, though its transfer syntax says otherwise');
  }
  const needed = Math.ceil((bits * image.frames) / 8);
  if (bytes.length < needed) {
    throw new BadImageError(
      name,
      `${image.frames === 1 ? 'the picture takes' : `${image.frames} frames take`} ${needed} bytes, the file has ${bytes.length}`,
      COPY_AGAIN,
    );
  }
  if (image.allocated === 1) return () => bytes;
  const length = bits / 8;
  return (frame: number) => bytes.subarray(frame * length, (frame + 1) * length);
}

/** The first fragment of every frame. */
function frameStarts(
  table: Fragment,
  extended: Uint8Array<ArrayBuffer> | undefined,
  fragments: readonly Fragment[],
  { frames, encoding }: DicomImage,
  name: string,
): number[] {
  const size = table.bytes.length > 0 ? 4 : 8;
  const offsets = size === 4 ? table.bytes : extended;
  if (offsets && offsets.length > 0) {
    const lie = () =>
      new BadImageError(name, 'the offset table of its frames does not fit its pixel data', COPY_AGAIN);
    if (offsets.length !== frames * size) throw lie();
    const at = new Map(fragments.map(({ offset }, i) => [offset, i]));
    const starts = readOffsets(offsets, size).map((offset) => at.get(offset) ?? -1);
    if (starts[0] !== 0 || starts.some((start, i) => i > 0 && start <= starts[i - 1]!)) throw lie();
    return starts;
  }
  if (fragments.length === frames) return fragments.map((_, i) => i);
  // Without a table a frame begins where a code stream does.
  const begins = ({ bytes }: Fragment) =>
    bytes[0] === 0xff && (bytes[1] === 0xd8 || bytes[1] === 0x4f) && encoding !== 'rle';
  const starts = fragments.flatMap((fragment, i) => (begins(fragment) ? [i] : []));
  if (starts.length !== frames || starts[0] !== 0) {
    throw new BadImageError(
      name,
      `${frames} frames cannot be told apart in ${fragments.length} fragments`,
      COPY_AGAIN,
    );
  }
  return starts;
}

function readOffsets(bytes: Uint8Array, size: 4 | 8): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / size }, (_, i) =>
    size === 4 ? view.getUint32(4 * i, true) : Number(view.getBigUint64(8 * i, true)),
  );
}

function joined(fragments: readonly Fragment[]): Uint8Array<ArrayBuffer> {
  if (fragments.length === 1) return fragments[0]!.bytes;
  const out = new Uint8Array(fragments.reduce((sum, { bytes }) => sum + bytes.length, 0));
  let at = 0;
  for (const { bytes } of fragments) {
    out.set(bytes, at);
    at += bytes.length;
  }
  return out;
}
