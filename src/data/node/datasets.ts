/** Reads labelled data sets from disk: which layout it is, which image is which. No image is decoded. Node only. */
import type { Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, normalize, resolve } from 'node:path';
import { OptionError } from '../../runtime/errors';
import { parseCsv } from '../csv';
import { DATASET_LAYOUTS, type Dataset, type LabelledImage, makeDataset, matchMasks } from '../datasets';
import { ENDINGS, isHeatmap } from './list-images';

/** Few-shot training takes `valid`, zero-shot training and every test `test`. */
export type Split = 'valid' | 'test';

const IMAGE = new RegExp(`\\.(${ENDINGS.replaceAll(',', '|')})$`, 'i');

/** Millions of rows; what is larger is not a list of images. */
const MAX_CSV_BYTES = 64 * 2 ** 20;

/**
 * Opens a labelled data set. Recognised are, in this order and whatever the case of the folders' names:
 * - `good/img/*`, `Ungood/img/*` and `Ungood/anomaly_mask/*`; the level `img` may be missing;
 * - `normal/*`, `abnormal/*` and `masks/*` or `masks/abnormal/*`;
 * - a CSV file with the columns path, label (0, 1, normal, abnormal, good, ungood) and, if wanted, mask, in any order.
 *   Paths are relative to the file; it is the whole data set, whichever split is asked for.
 *
 * Folders are looked for in the split's folder (`val` counts as `valid`), else in `path` itself, else, for `valid`, in `train`.
 * @param path a folder or a CSV file.
 * @throws OptionError naming the file or folder that is missing, unreadable, empty or means two things.
 */
export async function openDataset(path: string, { split }: { readonly split: Split }): Promise<Dataset> {
  const what = await kindAt(path);
  if (what === 'folder') return openFolder(path, split);
  if (what === 'file' && /\.csv$/i.test(path)) return openCsv(path);
  throw new OptionError(`${path}: this is neither a folder nor a CSV file.`, DATASET_LAYOUTS);
}

/** `all` where splits are not kept apart. */
export type SplitName = Split | 'all';

/**
 * Which splits a data set keeps apart: `valid`, `test` or both; `all` for a CSV file, and for a folder whose classes are in no
 * split's folder. Splits of which only one class is there are named too: opening them says what they lack.
 * @throws OptionError when there is none.
 */
export async function splitsOf(path: string): Promise<SplitName[]> {
  if ((await kindAt(path)) !== 'folder') return ['all'];
  const [valid, test] = [await locate(path, 'valid'), await locate(path, 'test')];
  if ('parent' in valid && 'parent' in test && valid.parent === test.parent) return ['all'];
  // The data set itself may hold the one split, and only a folder of its own the other.
  const has = (found: typeof valid) => 'parent' in found || found.half !== undefined;
  const splits = [...(has(valid) ? ['valid' as const] : []), ...(has(test) ? ['test' as const] : [])];
  if (splits.length === 0) {
    throw new OptionError(`${path}: there is no labelled data set in it.`, DATASET_LAYOUTS);
  }
  return splits;
}

/**
 * Opens one of several splits, which can then be compared: an image may be in one of them only.
 * @param split as `splitsOf` names it. @throws OptionError as `openDataset` does.
 */
export function openSplit(path: string, split: SplitName): Promise<Dataset> {
  return openDataset(path, { split: split === 'all' ? 'test' : split });
}

/** The folders `<Name>_AD` in a folder, by name. @throws OptionError when it cannot be read. */
export async function datasetFolders(root: string): Promise<string[]> {
  if ((await kindAt(root)) !== 'folder') return [];
  const folders: string[] = [];
  for (const entry of await entriesOf(root)) {
    if (/._AD$/i.test(entry.name) && (await kindOf(root, entry)) === 'folder') folders.push(entry.name);
  }
  return folders.sort();
}

/**
 * The published list of a data set's shots, where it was put: `fewshot_seed/<Name>/<k>-shot.txt` as beside MVFA-AD,
 * `<Name>/<k>-shot.txt`, or `<k>-shot.txt` in the data set's own folder.
 * @param root folder of the data sets. @param name of `knownDatasets`, or any other.
 * @returns its path; undefined when there is none.
 */
export async function findShotList(root: string, name: string, k: number): Promise<string | undefined> {
  const file = `${k}-shot.txt`;
  for (const folder of [join('fewshot_seed', name), name, `${name}_AD`]) {
    const path = join(root, folder, file);
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile()) return path;
  }
  return undefined;
}

/**
 * Opens the `test` splits of all `<Name>_AD` folders in a folder, for training on all but one and testing on that one.
 * @returns at least two, by name.
 * @throws OptionError when there are fewer, or one cannot be opened.
 */
export async function openDatasets(root: string): Promise<Dataset[]> {
  if ((await kindAt(root)) !== 'folder') throw new OptionError(`${root}: this is not a folder.`, ZERO_SHOT);
  const folders = await datasetFolders(root);
  if (folders.length < 2) {
    const found = folders.length === 0 ? 'no folder' : `only the folder ${folders[0]}`;
    throw new OptionError(`${root}: ${found} is called <Name>_AD.`, ZERO_SHOT);
  }
  const datasets: Dataset[] = [];
  for (const folder of folders) {
    const dataset = await openDataset(join(root, folder), { split: 'test' });
    if (datasets.some(({ name }) => name === dataset.name)) {
      throw new OptionError(
        `${root}: there are two data sets ${dataset.name}.`,
        'Rename one of the folders.',
      );
    }
    datasets.push(dataset);
  }
  return datasets;
}

const ZERO_SHOT =
  'Training on all data sets but one needs a folder with at least two of them: <Name>_AD/test/good/img/* and ' +
  '<Name>_AD/test/Ungood/img/*, with Ungood/anomaly_mask/* where pixels are labelled.';

/** The two layouts of folders: what the classes are called, and where images and masks lie. */
const layouts = [
  {
    normal: 'good',
    abnormal: 'ungood',
    imagesOf: async (folder: string) => (await child(folder, 'img')) ?? folder,
    masksOf: (_: string, abnormal: string) => child(abnormal, 'anomaly_mask'),
  },
  {
    normal: 'normal',
    abnormal: 'abnormal',
    imagesOf: async (folder: string) => folder,
    masksOf: async (parent: string, _: string) => {
      const masks = await child(parent, 'masks');
      return masks && ((await child(masks, 'abnormal')) ?? masks);
    },
  },
] as const;

interface Located {
  readonly layout: (typeof layouts)[number];
  readonly parent: string;
  readonly normal: string;
  readonly abnormal: string;
  /** `train`, which stands in for a missing `valid`. */
  readonly standsIn: boolean;
}

/** Where a split's classes lie; else what there is of them, if anything. */
async function locate(root: string, split: Split): Promise<Located | { readonly half: string | undefined }> {
  const train = split === 'valid' ? await child(root, 'train') : undefined;
  const parents = [
    await child(root, split),
    split === 'valid' ? await child(root, 'val') : undefined,
    root,
    train,
  ];
  let half: string | undefined;
  for (const layout of layouts) {
    for (const parent of parents) {
      if (parent === undefined) continue;
      const normal = await child(parent, layout.normal);
      const abnormal = await child(parent, layout.abnormal);
      if (normal && abnormal) return { layout, parent, normal, abnormal, standsIn: parent === train };
      if (normal) half ??= `${normal} has no folder of abnormal images beside it`;
      if (abnormal) half ??= `${abnormal} has no folder of normal images beside it`;
    }
  }
  return { half };
}

async function openFolder(root: string, split: Split): Promise<Dataset> {
  const located = await locate(root, split);
  if ('half' in located) {
    const fact = located.half ?? `there is no labelled data set for the split ${split} in it`;
    throw new OptionError(`${root}: ${fact}.`, DATASET_LAYOUTS);
  }
  const { layout, parent, normal, abnormal, standsIn } = located;
  const warnings = standsIn ? [`There is no labelled folder valid: ${parent} is used.`] : [];
  const normals = await imagesIn(await layout.imagesOf(normal), warnings);
  const abnormals = await imagesIn(await layout.imagesOf(abnormal), warnings);
  const maskFolder = await layout.masksOf(parent, abnormal);
  const masks = maskFolder ? await imagesIn(maskFolder, warnings, 'mask') : [];
  const matched = matchMasks(root, normals, abnormals, masks);
  const images = [...normals.map((path) => ({ path, abnormal: false })), ...matched.images];
  return makeDataset(nameOf(root), root, images, { warnings, unused: matched.unused });
}

/** A folder that is called after a split says nothing: the one above has the name. */
function nameOf(path: string): string {
  const full = resolve(path);
  const base = basename(full);
  const name = /^(valid|train|test)$/i.test(base) ? basename(dirname(full)) : base;
  return name.replace(/(?<=.)_AD$/i, '');
}

const labels: ReadonlyMap<string, boolean> = new Map([
  ['0', false],
  ['normal', false],
  ['good', false],
  ['1', true],
  ['abnormal', true],
  ['ungood', true],
]);

async function openCsv(file: string): Promise<Dataset> {
  const [header, ...rows] = parseCsv(await readText(file), file);
  const columns = header?.fields.map((field) => field.trim().toLowerCase()) ?? [];
  const [path, label, mask] = ['path', 'label', 'mask'].map((name) => columns.indexOf(name));
  // Another column could be a split, which may not be overlooked, or a patient's, which has no business here.
  const wanted = mask! >= 0 ? 3 : 2;
  if (path! < 0 || label! < 0 || columns.length !== wanted) {
    throw new OptionError(
      `${file}, line ${header?.line ?? 1}: the columns are not path, label and, if wanted, mask.`,
      'Give one CSV a split, with commas between its columns and their names in the first line.',
    );
  }
  const images = new Map<string, LabelledImage>();
  const ofNormal: string[] = [];
  for (const { fields, line } of rows) {
    // What stands in a row stays out of messages, but for paths: it may be a patient's.
    const refuse = (what: string, remedy: string) =>
      new OptionError(`${file}, line ${line}: ${what}.`, remedy);
    if (fields.length !== wanted) {
      throw refuse(
        `there are ${fields.length} fields for ${wanted} columns`,
        'Quote fields that hold commas.',
      );
    }
    const abnormal = labels.get(fields[label!]!.trim().toLowerCase());
    if (abnormal === undefined) {
      throw refuse('this label is not known', `Labels are ${[...labels.keys()].join(', ')}.`);
    }
    const at = async (column: number): Promise<string | undefined> => {
      const written = fields[column];
      if (!written) return undefined;
      const full = isAbsolute(written) ? normalize(written) : join(dirname(file), written);
      const kind = await kindAt(full).catch(() => undefined);
      if (kind === 'file') return full;
      throw refuse(`${full} is not a file that can be read`, 'Paths are relative to the CSV file.');
    };
    const image = await at(path!);
    if (image === undefined) throw refuse('there is no path', 'Give the path of an image.');
    if (images.has(image)) throw refuse(`${image} is listed already`, 'List each image once.');
    const truth = await at(mask!);
    if (truth !== undefined && !abnormal) ofNormal.push(truth);
    images.set(image, { path: image, abnormal, ...(truth !== undefined && abnormal ? { mask: truth } : {}) });
  }
  const name = basename(file).replace(/\.csv$/i, '');
  return makeDataset(name, file, [...images.values()], { unused: { stray: [], ofNormal } });
}

async function readText(file: string): Promise<string> {
  const bytes = await attempt(file, async () => {
    const { size } = await stat(file);
    if (size > MAX_CSV_BYTES) {
      throw new OptionError(
        `${file}: ${size} bytes are over the limit of ${MAX_CSV_BYTES}.`,
        'Split the list.',
      );
    }
    return readFile(file);
  });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new OptionError(`${file}: this is not UTF-8 text.`, 'Save it as UTF-8.');
  }
}

/** The image files of one folder, subfolders left alone. What else lies there, but for hidden files, is a warning. */
async function imagesIn(
  folder: string,
  warnings: string[],
  what: 'image' | 'mask' = 'image',
): Promise<string[]> {
  const paths: string[] = [];
  const others: string[] = [];
  for (const entry of await entriesOf(folder)) {
    const { name } = entry;
    if (name.startsWith('.') || isHeatmap(name) || name.toLowerCase() === 'anomaly_mask') continue;
    if (IMAGE.test(name) && (await kindOf(folder, entry)) === 'file') paths.push(join(folder, name));
    else others.push(name);
  }
  if (others.length > 0) {
    const [first] = others.sort();
    warnings.push(
      `${folder}: not read, as it is no ${what}: ${first}${others.length > 1 ? ` and ${others.length - 1} more` : ''}.`,
    );
  }
  if (paths.length === 0) {
    const looked = `Looked for ${ENDINGS.replaceAll(',', ', ')}, in this folder itself.`;
    if (what === 'image') throw new OptionError(`${folder}: the folder holds no image.`, looked);
    warnings.push(`${folder}: the folder holds no mask.`);
  }
  return paths;
}

/** The subfolder of this name in any case; undefined when there is none. */
async function child(folder: string, name: string): Promise<string | undefined> {
  const found: string[] = [];
  for (const entry of await entriesOf(folder)) {
    const same = entry.name.toLowerCase() === name;
    if (same && (await kindOf(folder, entry)) === 'folder') found.push(join(folder, entry.name));
  }
  if (found.length > 1) {
    throw new OptionError(`${found[0]} and ${found[1]} differ in case only.`, 'Leave one of them.');
  }
  return found[0];
}

type Kind = 'file' | 'folder' | 'other';

/** Only links are looked up: folders can be large, and what is not wanted may be broken. */
async function kindOf(folder: string, entry: Dirent): Promise<Kind> {
  return entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : kindAt(join(folder, entry.name));
}

async function kindAt(path: string): Promise<Kind> {
  const found = await attempt(path, () => stat(path));
  return found.isFile() ? 'file' : found.isDirectory() ? 'folder' : 'other';
}

function entriesOf(folder: string): Promise<Dirent[]> {
  return attempt(folder, () => readdir(folder, { withFileTypes: true }));
}

/** What the system refuses becomes an OptionError. */
async function attempt<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof OptionError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      throw new OptionError(`${path}: there is no such file or folder.`, 'Check the path.');
    if (code === 'ELOOP')
      throw new OptionError(`${path}: the link leads back to itself.`, 'Mend or remove it.');
    throw new OptionError(`${path}: it cannot be read (${code}).`, 'Check the path and its permissions.');
  }
}
