/** Labelled images for training and evaluation: what a data set is, how masks find their images, how shots are drawn. */
import { OptionError } from '../runtime/errors';
import { Random } from '../runtime/random';
import type { Shots } from './shot-list';

export interface LabelledImage {
  readonly path: string;
  readonly abnormal: boolean;
  /** Path of the pixel ground truth; undefined where there is none, and always for normal images. */
  readonly mask?: string;
}

export interface Dataset {
  readonly name: string;
  /** Normal ones first, then abnormal ones, each by path. */
  readonly images: readonly LabelledImage[];
  /** Pixel labels exist for at least one abnormal image. Normal images then count as all-zero masks. */
  readonly hasMasks: boolean;
  /** Whole sentences about what was left out or is missing; nothing that stops the work. */
  readonly warnings: readonly string[];
  /** Masks that lie there and are not read. */
  readonly unused: UnusedMasks;
}

export interface UnusedMasks {
  /** Those that belong to no image. */
  readonly stray: readonly string[];
  /** Those of normal images. */
  readonly ofNormal: readonly string[];
}

/** What messages draw when a data set cannot be made out. */
export const DATASET_LAYOUTS = `A labelled data set has normal and abnormal images and looks like one of these:
  Name_AD/                     Name/                   list.csv
    valid/, test/                normal/*.png            path,label,mask
      good/img/*.png             abnormal/*.png          scans/1.png,normal,
      Ungood/img/*.png           masks/*.png             scans/2.png,abnormal,masks/2.png
      Ungood/anomaly_mask/*.png
Masks are optional and are called like their image.`;

/** The last part of a path; slashes and backslashes both stand between folders. */
export function fileName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
}

/** A file's name without its last ending; composed, as some systems store "é" as two characters and others as one. */
export function fileStem(path: string): string {
  return fileName(path)
    .replace(/(?<=.)\.[^.]*$/, '')
    .normalize('NFC');
}

/** The same on every machine, whatever its locale. */
function comparePaths(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function sorted(images: readonly LabelledImage[], abnormal: boolean): LabelledImage[] {
  return images.filter((image) => image.abnormal === abnormal).sort((a, b) => comparePaths(a.path, b.path));
}

/** "3 masks have no image, the first is x.png." with the verb for one or many. */
function counted(paths: readonly string[], one: string, many: string): string {
  const first = [...paths].sort(comparePaths)[0]!;
  return paths.length === 1 ? `1 ${one}: ${first}.` : `${paths.length} ${many}, the first is ${first}.`;
}

/**
 * Puts a data set together: sorts it and says what it lacks.
 * @param place what messages call it, a path. @param warnings those there are already. @param unused masks to warn of.
 * @throws OptionError when one of the classes is empty; the remedy draws the layouts.
 */
export function makeDataset(
  name: string,
  place: string,
  images: readonly LabelledImage[],
  {
    warnings = [],
    unused = NONE_UNUSED,
  }: { readonly warnings?: readonly string[]; readonly unused?: UnusedMasks } = {},
): Dataset {
  const normal = sorted(images, false);
  const abnormal = sorted(images, true);
  if (normal.length === 0 || abnormal.length === 0) {
    throw new OptionError(
      `${place}: there are ${normal.length} normal and ${abnormal.length} abnormal images; at least one of each is needed.`,
      DATASET_LAYOUTS,
    );
  }
  const hasMasks = abnormal.some((image) => image.mask !== undefined);
  const all = [...warnings, ...unusedMasks(unused), ...missingMasks(abnormal)];
  return { name, images: [...normal, ...abnormal], hasMasks, warnings: all, unused };
}

const NONE_UNUSED: UnusedMasks = { stray: [], ofNormal: [] };

/** Abnormal images without a mask, in a data set that has masks. */
function missingMasks(images: readonly LabelledImage[]): string[] {
  const abnormal = images.filter((image) => image.abnormal);
  const bare = abnormal.filter((image) => image.mask === undefined).map((image) => image.path);
  return bare.length === 0 || bare.length === abnormal.length
    ? []
    : [counted(bare, 'abnormal image has no mask', 'abnormal images have no mask')];
}

/** The warnings but for those that images without masks and masks without images explain. */
export function otherWarnings({ warnings, unused, images }: Dataset): string[] {
  const explained = new Set([...unusedMasks(unused), ...missingMasks(images)]);
  return warnings.filter((warning) => !explained.has(warning));
}

/** Says which masks are not read. */
function unusedMasks({ stray, ofNormal }: UnusedMasks): string[] {
  return [
    ...(stray.length > 0 ? [counted(stray, 'mask has no image', 'masks have no image')] : []),
    ...(ofNormal.length > 0
      ? [counted(ofNormal, 'mask is a normal image’s and not read', 'masks are normal images’ and not read')]
      : []),
  ];
}

/**
 * Finds the masks of abnormal images: those with the same stem, endings may differ, or with "_mask" after it. Where no image has
 * the stem as it is written, upper and lower case count as the same.
 * @param place what messages call the data set.
 * @returns the abnormal images, and the masks that belong to none of them.
 * @throws OptionError naming both files where a mask could belong to two images or an image could have two masks.
 */
export function matchMasks(
  place: string,
  normal: readonly string[],
  abnormal: readonly string[],
  masks: readonly string[],
): { images: LabelledImage[]; unused: UnusedMasks } {
  const images = new Map<string, string[]>();
  /** Stems as they are written, by stem in lower case. */
  const folded = new Map<string, string[]>();
  for (const path of abnormal) {
    const stem = fileStem(path);
    if (!images.has(stem)) append(folded, stem.toLowerCase(), stem);
    append(images, stem, path);
  }
  const normalStems = new Set(normal.flatMap((path) => [fileStem(path), fileStem(path).toLowerCase()]));
  const byStem = new Map<string, string[]>();
  const stray: string[] = [];
  const ofNormal: string[] = [];
  for (const mask of masks) {
    const stem = fileStem(mask);
    // An image may itself be called "x_mask": the whole stem comes first.
    const stems = [stem, stem.replace(/_mask$/i, '')];
    const lower = stems.map((s) => s.toLowerCase());
    const written = stems.find((s) => images.has(s));
    const exactNormal = written === undefined && stems.some((s) => normalStems.has(s));
    const alike = exactNormal
      ? []
      : (lower.map((s) => folded.get(s)).find((found) => found !== undefined) ?? []);
    if (written === undefined && alike.length > 1) {
      const [a, b] = alike.map((s) => images.get(s)![0]!).sort(comparePaths);
      throw new OptionError(
        `${place}: ${mask} could be the mask of ${a} and of ${b}.`,
        'Write it as its image is written, upper and lower case.',
      );
    }
    const owner = written ?? alike[0];
    if (owner !== undefined) append(byStem, owner, mask);
    else (exactNormal || lower.some((s) => normalStems.has(s)) ? ofNormal : stray).push(mask);
  }
  const maskOf = new Map<string, string>();
  for (const [stem, candidates] of byStem) {
    for (const [image, mask] of pair(place, images.get(stem)!, candidates)) maskOf.set(image, mask);
  }
  return {
    images: abnormal.map((path) => {
      const mask = maskOf.get(path);
      return mask === undefined ? { path, abnormal: true } : { path, abnormal: true, mask };
    }),
    unused: { stray, ofNormal },
  };
}

/** One image and one mask of a stem, or as many of both with equal names; anything else could be meant in two ways. */
function pair(place: string, images: readonly string[], masks: readonly string[]): [string, string][] {
  if (images.length === 1 && masks.length === 1) return [[images[0]!, masks[0]!]];
  const pairs = images.map((image): [string, string | undefined] => {
    const same = masks.filter((mask) => fileName(mask) === fileName(image));
    return [image, same.length === 1 ? same[0] : undefined];
  });
  const complete = pairs.filter((p): p is [string, string] => p[1] !== undefined);
  if (complete.length === images.length && complete.length === masks.length) return complete;
  const [a, b] = [...(masks.length > 1 ? masks : images)].sort(comparePaths);
  throw masks.length > 1
    ? new OptionError(`${place}: ${a} and ${b} could both be the mask of ${images[0]}.`, 'Leave one of them.')
    : new OptionError(
        `${place}: ${masks[0]} could be the mask of ${a} and of ${b}.`,
        'Rename one of the images and give each its own mask.',
      );
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const values = map.get(key);
  if (values) values.push(value);
  else map.set(key, [value]);
}

export interface ShotOptions {
  /** Whole number; the same seed draws the same images. Of no account where a list is given. */
  readonly seed: number;
  /** Images chosen beforehand, one draw of `parseShotList`. */
  readonly list?: Shots;
}

/**
 * Chooses k normal and k abnormal images, without replacement. The draw depends on the paths' order and the seed only;
 * the images drawn for a smaller k are among those for a larger one.
 * @param k shots of each class, or all images there are. With a list, how many it must name of each; "all" takes any number.
 * @returns the same data set with fewer images, in the order of `Dataset.images`.
 * @throws OptionError when fewer than k images are there, k or the seed is not a whole number, or the list does not fit:
 * it names another number of images, an image that is not there, that could be two, or one twice.
 */
export function chooseShots(dataset: Dataset, k: number | 'all', { seed, list }: ShotOptions): Dataset {
  if (k !== 'all' && !(Number.isSafeInteger(k) && k >= 1)) {
    throw new OptionError(`${k} shots cannot be drawn.`, 'Give a whole number of 1 or more, or "all".');
  }
  if (!Number.isSafeInteger(seed)) {
    throw new OptionError(`The seed ${seed} is not a whole number.`, 'Give one, 111 for instance.');
  }
  const normal = sorted(dataset.images, false);
  const abnormal = sorted(dataset.images, true);
  if (list) {
    const chosen = [
      ...listed(dataset, list, 'normal', normal, k),
      ...listed(dataset, list, 'abnormal', abnormal, k),
    ];
    return makeDataset(dataset.name, dataset.name, chosen, {
      warnings: otherWarnings(dataset),
      unused: dataset.unused,
    });
  }
  if (k === 'all') return { ...dataset, images: [...normal, ...abnormal] };
  if (normal.length < k || abnormal.length < k) {
    throw new OptionError(
      `${dataset.name}: ${k} shots need ${k} normal and ${k} abnormal images; there are ${normal.length} and ${abnormal.length}.`,
      `Ask for ${Math.min(normal.length, abnormal.length)} or fewer, or add images.`,
    );
  }
  const random = new Random(seed);
  // Both classes are shuffled whole: then the abnormal ones that come first do not depend on k either.
  const shuffled = [shuffle(normal, random), shuffle(abnormal, random)];
  const chosen = shuffled.flatMap((images) => images.slice(0, k));
  return makeDataset(dataset.name, dataset.name, chosen, {
    warnings: otherWarnings(dataset),
    unused: dataset.unused,
  });
}

/** Fisher and Yates. */
function shuffle<T>(values: readonly T[], random: Random): T[] {
  const out = [...values];
  for (let i = 0; i < out.length - 1; i++) {
    const j = random.integer(i, out.length);
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

function listed(
  dataset: Dataset,
  list: Shots,
  kind: 'normal' | 'abnormal',
  images: readonly LabelledImage[],
  k: number | 'all',
): LabelledImage[] {
  const entries = list[kind];
  if (k !== 'all' && entries.length !== k) {
    throw new OptionError(
      `${list.name}: ${entries.length} ${kind} images are listed where ${k} shots are asked for.`,
      'Give the list for this number of shots, or ask for all of the list.',
    );
  }
  const chosen = new Map<LabelledImage, string>();
  for (const entry of entries) {
    const image = find(dataset, list, kind, images, entry);
    const before = chosen.get(image);
    if (before !== undefined) {
      throw new OptionError(
        `${list.name}: ${image.path} is listed twice, as ${before} and ${entry}.`,
        'Name each image once.',
      );
    }
    chosen.set(image, entry);
  }
  return [...chosen.keys()];
}

/** The image that an entry means; the closest way of meaning one decides. */
function find(
  dataset: Dataset,
  list: Shots,
  kind: 'normal' | 'abnormal',
  images: readonly LabelledImage[],
  entry: string,
): LabelledImage {
  const plain = (path: string) => path.replaceAll('\\', '/').normalize('NFC');
  const tail = `/${plain(entry).replace(/^(\.?\/)+/, '')}`;
  const name = fileName(tail);
  const ways: ((path: string) => boolean)[] = [
    (path) => `/${plain(path)}`.endsWith(tail),
    (path) => fileName(plain(path)) === name,
    (path) => fileStem(path) === name,
    (path) => fileStem(path) === fileStem(name),
  ];
  for (const fits of ways) {
    const [first, second] = images.filter((image) => fits(image.path));
    if (second) {
      throw new OptionError(
        `${list.name}: ${entry} could be ${first!.path} or ${second.path}.`,
        'Write the ending, or more of the path, in the list.',
      );
    }
    if (first) return first;
  }
  throw new OptionError(
    `${list.name}: ${entry} is none of the ${images.length} ${kind} images of ${dataset.name}.`,
    'Check that list and data set belong together.',
  );
}
