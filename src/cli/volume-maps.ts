/** `--export nifti`: the score maps of each volume as one NIfTI volume in its source's grid. */
import { basename, dirname, join } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import type { SliceGrid } from '../data/volume';
import { writeFileAtomic } from '../io/node/write-file';
import { niftiChunks } from '../io/write-nifti';
import type { Detection } from '../model/detector';
import { resampleMap } from '../report';
import { OptionError } from '../runtime/errors';
import type { Picture, PictureVolume } from './pictures';

/** Most voxels of a map: 512 MiB of f32. */
const MOST_VOXELS = 2 ** 27;

/** Collects the maps of a volume and writes them when its last slice is done. Slices come volume by volume. */
export class VolumeMaps {
  readonly #left = new Map<PictureVolume, number>();
  readonly #taken = new Set<string>();
  #current: { volume: PictureVolume; values: Float32Array<ArrayBuffer>; path: string } | undefined;

  /** @throws OptionError when nothing is a volume, or one is too large. */
  constructor(pictures: readonly Picture[]) {
    for (const { volume } of pictures) {
      if (!volume) continue;
      this.#left.set(volume, (this.#left.get(volume) ?? 0) + 1);
      const { dims } = volume.volume.grid;
      if (dims[0] * dims[1] * dims[2] > MOST_VOXELS) {
        throw new OptionError(
          `${volume.name}: a map of ${dims.join(' x ')} voxels is too large for --export nifti.`,
          'Use --maps, which writes one map an image.',
        );
      }
    }
    if (this.#left.size === 0) {
      throw new OptionError(
        '--export nifti is for DICOM and NIfTI, and none of the files is one.',
        'Use --export dicom, or --maps.',
      );
    }
  }

  /** @param name where the slice's own outputs go; the volume's file goes beside. */
  async add(picture: Picture, name: string, { map, size }: Pick<Detection, 'map' | 'size'>): Promise<void> {
    const { volume, slice = 0 } = picture;
    if (!volume) return;
    const { grid } = volume.volume;
    if (this.#current?.volume !== volume) {
      await this.finish();
      const [a, b, c] = grid.dims;
      // What was not looked at has no score.
      const values = new Float32Array(a * b * c).fill(Number.NaN);
      this.#current = { volume, values, path: this.#pathFor(volume, name) };
    }
    placeSlice(this.#current.values, grid, slice, map, size);
    await this.done(picture);
  }

  /** Counts a slice as finished, with or without a map; the last one writes the volume. */
  async done({ volume }: Picture): Promise<void> {
    if (!volume) return;
    const left = this.#left.get(volume)! - 1;
    this.#left.set(volume, left);
    if (left === 0 && this.#current?.volume === volume) await this.finish();
  }

  /** Writes what there is of the volume under way. */
  async finish(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    if (!current) return;
    const { dims, spacing, affine } = current.volume.volume.grid;
    const volume = { dims, spacing, values: current.values, ...(affine && { affine }) };
    // An error of either end reaches the other; the file's writer is told of it.
    const packed = pipeline(Readable.from(niftiChunks(volume)), createGzip(), () => {});
    await writeFileAtomic(current.path, packed);
  }

  #pathFor(volume: PictureVolume, name: string): string {
    const wanted = join(dirname(name), basename(volume.path));
    let path = wanted;
    for (let n = 2; this.#taken.has(path.toLowerCase()); n++) path = `${wanted}-${n}`;
    this.#taken.add(path.toLowerCase());
    return `${path}.map.nii.gz`;
  }
}

/** Writes a map into the voxels that its slice's pixels came from. @param map f32 [size, size] of the squashed slice. */
function placeSlice(
  values: Float32Array,
  { dims, axes, flip }: SliceGrid,
  slice: number,
  map: Float32Array,
  size: number,
): void {
  const strides = [1, dims[0], dims[0] * dims[1]] as const;
  const [width, height] = [dims[axes.x], dims[axes.y]];
  const pixels = resampleMap(map, size, width, height);
  for (let row = 0, i = 0; row < height; row++) {
    const y = flip.y ? height - 1 - row : row;
    for (let column = 0; column < width; column++, i++) {
      const x = flip.x ? width - 1 - column : column;
      values[slice * strides[axes.slice] + y * strides[axes.y] + x * strides[axes.x]] = pixels[i]!;
    }
  }
}
