/** NIfTI volumes (.nii, .nii.gz): one slice after the other, in the order of their voxels. */
import { BadImageError, OptionError } from '../../../runtime/errors';
import type { RgbImage } from '../../image';
import { COPY_AGAIN, type DecodeLimits } from '../../limits';
import type { SliceGrid, Volume, VolumeOptions } from '../../volume';
import { inflating } from '../inflate';
import { NIFTI_HEADER_BYTES, type NiftiHeader, readNiftiHeader } from './header';
import { displayAxes } from './orientation';

/** Share of voxels that are darker than black, and darker than white. */
const LOW = 0.005;
const HIGH = 0.995;

/** @throws BadImageError, OptionError */
export async function openNifti(
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
  options: VolumeOptions,
  limits: DecodeLimits,
): Promise<Volume> {
  const wanted = options.volume ?? 0;
  const gzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const { header, data } = gzip
    ? await unpack(bytes, wanted, name, limits)
    : cut(bytes, readNiftiHeader(bytes, name, limits), wanted, name);
  const voxels = new Voxels(header, data, name);
  const slice = options.axis ?? (header.dims[2] === 1 ? 2 : (header.sliceAxis ?? 2));
  const { axes, flip } = displayAxes(slice, header.affine);
  const grid: SliceGrid = {
    dims: header.dims,
    axes,
    flip,
    spacing: header.spacing,
    ...(header.affine && { affine: header.affine }),
  };
  const colour = header.type.read === undefined;
  const range = colour || options.mask ? undefined : windowRange(voxels, options);
  return {
    format: 'nifti',
    slices: header.dims[slice],
    warnings:
      header.volumes > 1 && options.volume === undefined
        ? [`it holds ${header.volumes} volumes, of which the first was taken`]
        : [],
    grid,
    label: (i) => `slice ${i}`,
    slice: async (i) => render(voxels, grid, i, range),
  };
}

function checkVolume({ volumes }: NiftiHeader, wanted: number, name: string): void {
  if (Number.isInteger(wanted) && wanted >= 0 && wanted < volumes) return;
  throw new OptionError(`${name}: there is no volume ${wanted}.`, `Give 0 to ${volumes - 1}.`);
}

function volumeBytes({ dims: [a, b, c], type }: NiftiHeader): number {
  return a * b * c * type.bytes;
}

function cut(bytes: Uint8Array<ArrayBuffer>, header: NiftiHeader, wanted: number, name: string) {
  checkVolume(header, wanted, name);
  const length = volumeBytes(header);
  if (header.offset + length * header.volumes > bytes.length) throw tooShort(header, bytes.length, name);
  const from = header.offset + wanted * length;
  return { header, data: bytes.subarray(from, from + length) };
}

/** Keeps the wanted volume only; the rest is unpacked to see that the file is whole. */
async function unpack(bytes: Uint8Array<ArrayBuffer>, wanted: number, name: string, limits: DecodeLimits) {
  let head: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  let header: NiftiHeader | undefined;
  // Grows as bytes come, whatever the header claims.
  let data = new Uint8Array(0);
  let at = 0;
  const take = (piece: Uint8Array, { offset }: NiftiHeader, length: number) => {
    const from = Math.max(0, offset + wanted * length - at);
    const to = Math.min(piece.length, offset + (wanted + 1) * length - at);
    if (from >= to) return;
    const place = at + from - offset - wanted * length;
    if (place + to - from > data.length) {
      const larger = new Uint8Array(Math.min(length, Math.max(2 * data.length, place + to - from, 1 << 16)));
      larger.set(data);
      data = larger;
    }
    data.set(piece.subarray(from, to), place);
  };
  for await (const piece of inflating('gzip', bytes, name, limits)) {
    let rest = piece;
    if (!header) {
      // Pieces are 16 KiB or more but for the last one.
      const joined = new Uint8Array(head.length + piece.length);
      joined.set(head);
      joined.set(piece, head.length);
      head = joined;
      if (head.length < NIFTI_HEADER_BYTES) continue;
      header = readNiftiHeader(head, name, limits);
      checkVolume(header, wanted, name);
      rest = head;
    }
    const length = volumeBytes(header);
    take(rest, header, length);
    at += rest.length;
    if (at > header.offset + length * header.volumes + SLACK) {
      throw new BadImageError(name, 'it unpacks to more than its header says', COPY_AGAIN);
    }
  }
  if (!header) {
    header = readNiftiHeader(head, name, limits);
    checkVolume(header, wanted, name);
    take(head, header, volumeBytes(header));
    at = head.length;
  }
  const length = volumeBytes(header);
  if (at < header.offset + length * header.volumes) throw tooShort(header, at, name);
  return { header, data };
}

/** Some writers pad the end. */
const SLACK = 1 << 20;

function tooShort({ dims, volumes, type, offset }: NiftiHeader, length: number, name: string): BadImageError {
  const many = volumes > 1 ? ` x ${volumes}` : '';
  return new BadImageError(
    name,
    `${dims.join(' x ')}${many} ${type.name} voxels from byte ${offset} on do not fit in ${length} bytes`,
    COPY_AGAIN,
  );
}

/** One volume's values. */
class Voxels {
  readonly #view: DataView;
  readonly strides: readonly [number, number, number];

  constructor(
    readonly header: NiftiHeader,
    readonly data: Uint8Array<ArrayBuffer>,
    private readonly name: string,
  ) {
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    this.strides = [1, header.dims[0], header.dims[0] * header.dims[1]];
  }

  get count(): number {
    return this.data.length / this.header.type.bytes;
  }

  /** Scaled. @throws BadImageError naming the voxel when it is not finite. */
  value(index: number): number {
    const { type, little, slope, intercept } = this.header;
    const value = type.read!(this.#view, index * type.bytes, little) * slope + intercept;
    if (!Number.isFinite(value)) {
      const [columns, rows] = this.header.dims;
      const place = [
        index % columns,
        Math.floor(index / columns) % rows,
        Math.floor(index / (columns * rows)),
      ];
      throw new BadImageError(
        this.name,
        `voxel [${place.join(', ')}] is ${value}`,
        'Replace what is no number by a value (fslmaths IN -nan OUT).',
      );
    }
    return value;
  }
}

/** What is black and what is white, for all slices of the volume. */
function windowRange(voxels: Voxels, { window }: VolumeOptions): readonly [number, number] {
  if (window) return [window.center - window.width / 2, window.center + window.width / 2];
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < voxels.count; i++) {
    const value = voxels.value(i);
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!(high > low) || !Number.isFinite(high - low)) return [low, high];
  // Counted into bins: of whole numbers one a value, so that the percentiles are exact; else 65,536.
  const levels = voxels.header.type.levels ?? 65_536;
  const bins = new Uint32Array(Math.min(levels, 65_536));
  const width = (high - low) / (bins.length - 1);
  for (let i = 0; i < voxels.count; i++) bins[Math.round((voxels.value(i) - low) / width)]!++;
  const percentile = (share: number) => {
    let seen = 0;
    const bin = bins.findIndex((n) => {
      seen += n;
      return seen >= share * voxels.count;
    });
    return low + Math.max(bin, 0) * width;
  };
  const [black, white] = [percentile(LOW), percentile(HIGH)];
  // Where nearly all voxels are equal (a small bright thing on nothing) the extremes tell more.
  return white > black ? [black, white] : [low, high];
}

function render(
  voxels: Voxels,
  { dims, axes, flip }: SliceGrid,
  index: number,
  range: readonly [number, number] | undefined,
): RgbImage {
  const { strides, data: bytes, header } = voxels;
  const [width, height] = [dims[axes.x], dims[axes.y]];
  const data = new Uint8Array(3 * width * height);
  const colourBytes = header.type.read ? 0 : header.type.bytes;
  const [low, high] = range ?? [0, 0];
  const scale = high > low ? 255 / (high - low) : 0;
  let o = 0;
  for (let row = 0; row < height; row++) {
    const y = flip.y ? height - 1 - row : row;
    for (let column = 0; column < width; column++, o += 3) {
      const x = flip.x ? width - 1 - column : column;
      const at = index * strides[axes.slice] + y * strides[axes.y] + x * strides[axes.x];
      if (colourBytes > 0) {
        data.set(bytes.subarray(at * colourBytes, at * colourBytes + 3), o);
        continue;
      }
      const value = voxels.value(at);
      const level = range
        ? Math.round(Math.min(Math.max((value - low) * scale, 0), 255))
        : value > 0
          ? 255
          : 0;
      data[o] = level;
      data[o + 1] = level;
      data[o + 2] = level;
    }
  }
  return { width, height, data };
}
