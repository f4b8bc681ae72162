/** What `detect` looks at: one picture a file, or one a slice of a volume. */
import { join } from 'node:path';
import { type FoundFile, findVolumes } from '../data/node/volumes';
import type { GrayWindow, Volume } from '../data/volume';
import { type ImageInput, openVolume } from '../library/node';
import { OptionError } from '../runtime/errors';
import type { SliceRange } from './options';

export interface VolumeFlags {
  axis?: 0 | 1 | 2;
  slices?: SliceRange;
  window?: GrayWindow;
  volume?: number;
}

export interface Picture {
  /** As it was given; of a series, the slice's own file. */
  readonly file: string;
  /** Of a volume with several, from 0. */
  readonly slice?: number;
  /** What the report calls it. */
  readonly title: string;
  /** A path that outputs are named after; no two are equal. */
  readonly path: string;
  readonly input: ImageInput;
  readonly volume?: PictureVolume;
}

export interface PictureVolume {
  readonly name: string;
  /** As `Picture.path`. */
  readonly path: string;
  readonly volume: Volume;
}

/**
 * One picture a file that holds one, one a chosen slice of volumes.
 * @throws OptionError when the flags fit no volume among the files, or leave no slice.
 */
export async function openPictures(files: readonly string[], flags: VolumeFlags): Promise<Picture[]> {
  const { axis, window, volume } = flags;
  const options = {
    ...(axis !== undefined && { axis }),
    ...(window && { window }),
    ...(volume !== undefined && { volume }),
  };
  const found = await findVolumes(files, (file, shared) =>
    openVolume(file, { ...options, ...(shared && { window: shared }) }),
  );
  const given = Object.entries({ axis, slices: flags.slices, window, volume }).find(
    ([, value]) => value !== undefined,
  );
  if (given && found.every(({ kind }) => kind === 'picture')) {
    throw new OptionError(
      `--${given[0]} is for DICOM and NIfTI, and none of the files is one.`,
      'Leave it out.',
    );
  }
  const mayBeNifti = (entry: FoundFile) =>
    entry.kind === 'broken' || (entry.kind !== 'picture' && entry.volume.format === 'nifti');
  if (volume !== undefined && !found.some(mayBeNifti))
    throw new OptionError('--volume is for NIfTI, and none of the files is one.', 'Leave it out.');
  return found.flatMap((entry) => picturesOf(entry, flags.slices));
}

function picturesOf(entry: FoundFile, range: SliceRange | undefined): Picture[] {
  if (entry.kind === 'volume') {
    const { name, files, volume } = entry;
    const stem = files.length > 1 ? name : withoutEnding(name);
    const shared: PictureVolume = { name, path: stem, volume };
    const digits = String(volume.slices - 1).length;
    return chosen(volume.slices, range, name).map((slice) => {
      const own = files.length > 1 ? files[slice]! : undefined;
      return {
        file: own ?? name,
        slice,
        title: own ?? `${name}, ${volume.label(slice)}`,
        path: own ?? join(stem, `slice-${String(slice).padStart(digits, '0')}`),
        input: { name: own ?? `${name}, ${volume.label(slice)}`, load: () => volume.slice(slice) },
        volume: shared,
      };
    });
  }
  const { file } = entry;
  const picture = { file, title: file, path: file };
  if (entry.kind === 'picture') return [{ ...picture, input: file }];
  if (entry.kind === 'broken')
    return [{ ...picture, input: { name: file, load: () => Promise.reject(entry.error) } }];
  const { volume } = entry;
  return [
    {
      ...picture,
      input: { name: file, load: () => volume.slice(0) },
      volume: { name: file, path: withoutEnding(file), volume },
    },
  ];
}

const withoutEnding = (file: string) => file.replace(/\.(nii\.gz|nii|dcm|dicom|ima)$/i, '');

function chosen(
  slices: number,
  { from = 0, to = slices, step = 1 }: SliceRange = {},
  name: string,
): number[] {
  const indices: number[] = [];
  for (let i = from; i < Math.min(to, slices); i += step) indices.push(i);
  if (indices.length === 0) {
    throw new OptionError(
      `${name}: --slices names none of its ${slices} slices.`,
      `They count from 0 to ${slices - 1}.`,
    );
  }
  return indices;
}
