/** Volumes among files: which files hold several slices, which belong to one DICOM series. Node only. */
import { dirname } from 'node:path';
import { BadImageError, type MlaLpError } from '../../runtime/errors';
import { type GrayWindow, isVolumeFile, type Volume } from '../volume';
import { groupSeries, type SeriesMember, seriesVolume } from '../volume-series';
import { firstBytes } from './first-bytes';

/** What a file on a command line is. */
export type FoundFile =
  | { readonly kind: 'picture'; readonly file: string }
  /** DICOM or NIfTI with one slice. */
  | { readonly kind: 'single'; readonly file: string; readonly volume: Volume }
  | { readonly kind: 'broken'; readonly file: string; readonly error: MlaLpError }
  | {
      readonly kind: 'volume';
      /** The file, or the folder of a series. */
      readonly name: string;
      /** Of slice i: the file of a volume is that of all its slices. */
      readonly files: readonly string[];
      readonly volume: Volume;
    };

/** Bytes that tell a volume's format. */
const HEAD = 352;

/**
 * Looks into every file. Volumes are opened once to see that they are whole, and again when their slices are asked for, so
 * that two are in memory at a time, however many there are.
 * @param openFile opens a DICOM or NIfTI file with the caller's options. @throws OptionError of `openFile`.
 */
export async function findVolumes(
  files: readonly string[],
  openFile: (file: string, window?: GrayWindow) => Promise<Volume>,
): Promise<FoundFile[]> {
  const opened = new Recent(openFile, 2);
  const found: FoundFile[] = [];
  const members: SeriesMember[] = [];
  const warnings = new Map<string, readonly string[]>();
  for (const file of files) {
    // A file that cannot be read is a picture that fails later, in the words of pictures.
    if (!isVolumeFile(await firstBytes(file, HEAD))) {
      found.push({ kind: 'picture', file });
      continue;
    }
    let volume: Volume;
    try {
      volume = await opened.get(file);
    } catch (error) {
      if (!(error instanceof BadImageError)) throw error;
      found.push({ kind: 'broken', file, error });
      continue;
    }
    if (volume.slices > 1) {
      found.push({
        kind: 'volume',
        name: file,
        files: [file],
        volume: reopening(volume, () => opened.get(file)),
      });
      continue;
    }
    warnings.set(file, volume.warnings);
    found.push({ kind: 'single', file, volume: reopening(volume, () => opened.get(file)) });
    const { place, grid } = volume;
    if (place) members.push({ name: file, place, columns: grid.dims[0], rows: grid.dims[1] });
  }
  for (const group of groupSeries(members)) {
    const names = group.map(({ name }) => name);
    const inGroup = new Set(names);
    const all = [...new Set(names.flatMap((name) => warnings.get(name) ?? []))];
    const volume = seriesVolume(group, all, ({ name }, window) =>
      window ? openFile(name, window) : opened.get(name),
    );
    const at = found.findIndex((entry) => entry.kind === 'single' && inGroup.has(entry.file));
    const series: FoundFile = { kind: 'volume', name: dirname(names[0]!), files: names, volume };
    found.splice(at, 1, series);
    for (let i = found.length - 1; i >= 0; i--) {
      const entry = found[i]!;
      if (entry.kind === 'single' && inGroup.has(entry.file)) found.splice(i, 1);
    }
  }
  return found;
}

/** The volume without its data: slices are read from the file again. */
function reopening(volume: Volume, get: () => Promise<Volume>): Volume {
  const { format, slices, warnings, grid } = volume;
  return {
    format,
    slices,
    warnings,
    grid,
    label: (i) => `slice ${i}`,
    slice: async (i) => (await get()).slice(i),
  };
}

/** The last few volumes that were opened. */
class Recent {
  readonly #volumes = new Map<string, Promise<Volume>>();

  constructor(
    private readonly open: (file: string) => Promise<Volume>,
    private readonly most: number,
  ) {}

  get(file: string): Promise<Volume> {
    const volume = this.#volumes.get(file) ?? this.open(file);
    this.#volumes.delete(file);
    this.#volumes.set(file, volume);
    for (const oldest of this.#volumes.keys()) {
      if (this.#volumes.size <= this.most) break;
      this.#volumes.delete(oldest);
    }
    return volume;
  }
}
