/**
 * Looks at every image of labelled data sets before anybody trains on them. Images are decoded one after another and only hashes
 * and sizes are kept of them, so memory grows by some hundred bytes an image.
 */
import { AbortedError, BadImageError } from '../../runtime/errors';
import { type Dataset, type LabelledImage, otherWarnings } from '../datasets';
import type { RgbImage } from '../image';
import { knownDataset } from '../known-datasets';
import type { DecodeOptions } from '../limits';
import { readMask, scaleMask } from '../load-sample';
import { type Finding, finding } from './findings';
import { closePairs, type LookHash, lookHash } from './near-duplicates';

/** A split of a data set. */
export interface SplitToCheck {
  readonly split: string;
  readonly dataset: Dataset;
}

export interface CheckOptions {
  /** Side the model runs at, px. */
  readonly side: number;
  /** Takes the folder that is checked off paths, in sentences too: what is left is what files are called here. */
  readonly shorten: (text: string) => string;
  /** @throws BadImageError */
  readonly read: (path: string) => Promise<Uint8Array>;
  /** @throws BadImageError */
  readonly decode: (bytes: Uint8Array, name: string, options?: DecodeOptions) => Promise<RgbImage>;
  /** Of bytes; equal for equal ones only. */
  readonly digest: (...parts: readonly Uint8Array[]) => string;
  readonly signal?: AbortSignal;
  /** @param done images of all splits. */
  readonly onProgress?: (done: number) => void;
}

/** One class of a split. */
export interface ClassCount {
  readonly dataset: string;
  readonly split: string;
  readonly label: 'normal' | 'abnormal';
  readonly images: number;
  readonly unreadable: number;
  readonly masks: number;
  readonly coloured: number;
  /** Smallest and largest width and height, px; absent where no image could be read. */
  readonly size?: { readonly width: readonly [number, number]; readonly height: readonly [number, number] };
}

export interface CheckReport {
  readonly counts: readonly ClassCount[];
  /** Errors first, then warnings, then hints. */
  readonly findings: readonly Finding[];
  /** Images looked at; all of them unless the signal fired. */
  readonly checked: number;
  readonly complete: boolean;
}

/** What is kept of an image that could be decoded. */
interface Facts {
  readonly place: SplitToCheck;
  readonly image: LabelledImage;
  readonly bytes: string;
  readonly pixels: string;
  readonly look: LookHash | undefined;
  readonly coloured: boolean;
}

/** Smaller than this share of the model's side is far smaller. */
const SMALL = 0.5;
/** Steps of 255 between channels that compression may cause in a gray picture. */
const GRAY_TOLERANCE = 3;
const MAX_PAIRS = 1000;
/** Comparing all with all takes seconds up to here. */
const MAX_COMPARED = 30_000;

/**
 * Checks splits of one or several data sets, and all of them against each other.
 * When the signal fires, what was found so far is returned.
 */
export async function checkSplits(
  splits: readonly SplitToCheck[],
  options: CheckOptions,
): Promise<CheckReport> {
  const check = new Check(options);
  let complete = true;
  try {
    for (const split of splits) await check.add(split);
  } catch (error) {
    if (!(error instanceof AbortedError)) throw error;
    complete = false;
  }
  return check.report(splits, complete);
}

/** Of the images of one class. */
class Tally {
  images = 0;
  unreadable = 0;
  masks = 0;
  coloured = 0;
  firstColoured: string | undefined;
  #width: [number, number] | undefined;
  #height: [number, number] | undefined;

  constructor(
    readonly dataset: string,
    readonly split: string,
    readonly label: ClassCount['label'],
  ) {}

  measure({ width, height }: RgbImage): void {
    const widen = (range: [number, number] | undefined, value: number): [number, number] => [
      Math.min(range?.[0] ?? value, value),
      Math.max(range?.[1] ?? value, value),
    ];
    this.#width = widen(this.#width, width);
    this.#height = widen(this.#height, height);
  }

  count(): ClassCount {
    const { dataset, split, label, images, unreadable, masks, coloured } = this;
    const size = this.#width && this.#height && { width: this.#width, height: this.#height };
    return { dataset, split, label, images, unreadable, masks, coloured, ...(size && { size }) };
  }
}

class Check {
  readonly #facts: Facts[] = [];
  readonly #findings: Finding[] = [];
  readonly #tallies: Tally[] = [];
  #checked = 0;

  constructor(readonly options: CheckOptions) {}

  async add(place: SplitToCheck): Promise<void> {
    const { dataset, split } = place;
    const { name, images, unused } = dataset;
    const { shorten } = this.options;
    const tallies = {
      normal: new Tally(name, split, 'normal'),
      abnormal: new Tally(name, split, 'abnormal'),
    };
    this.#tallies.push(tallies.normal, tallies.abnormal);
    for (const warning of otherWarnings(dataset)) this.#find('folder', name, [], shorten(warning));
    for (const path of unused.stray) this.#find('stray-mask', name, [path]);
    for (const image of images) {
      await this.#image(place, image, tallies[image.abnormal ? 'abnormal' : 'normal']);
      this.#checked++;
      this.options.onProgress?.(this.#checked);
    }
    for (const path of unused.ofNormal) await this.#normalMask(name, path);
  }

  #find(
    kind: Parameters<typeof finding>[0],
    dataset: string,
    paths: readonly string[],
    detail?: string,
  ): void {
    this.#findings.push(finding(kind, dataset, paths.map(this.options.shorten), detail));
  }

  async #image(place: SplitToCheck, image: LabelledImage, tally: Tally): Promise<void> {
    const { side, digest } = this.options;
    const { name } = place.dataset;
    tally.images++;
    if (image.mask !== undefined) tally.masks++;
    else if (image.abnormal && place.dataset.hasMasks) {
      this.#find(knownDataset(name)?.hasMasks ? 'lacking-mask' : 'missing-mask', name, [image.path]);
    }
    const opened = await this.#open(image.path, 'unreadable-image', name);
    if (!opened) {
      tally.unreadable++;
      return;
    }
    const { bytes, picture } = opened;
    const { width, height, data } = picture;
    tally.measure(picture);
    const coloured = isColoured(data);
    if (coloured) {
      tally.coloured++;
      tally.firstColoured ??= image.path;
    }
    if (Math.min(width, height) < SMALL * side)
      this.#find(
        'small-image',
        name,
        [image.path],
        `${width} x ${height} pixels, the model takes ${side} x ${side}`,
      );
    const shape = new Uint8Array(Uint32Array.of(width, height).buffer);
    this.#facts.push({
      place,
      image,
      bytes: digest(bytes),
      pixels: digest(shape, data),
      look: lookHash(picture),
      coloured,
    });
    if (image.mask !== undefined) await this.#mask(name, image.mask, picture);
  }

  /** Reads and decodes; what cannot be becomes a finding. */
  async #open(
    path: string,
    kind: 'unreadable-image' | 'unreadable-mask',
    dataset: string,
  ): Promise<{ bytes: Uint8Array; picture: RgbImage } | undefined> {
    const { signal, shorten, read, decode } = this.options;
    if (signal?.aborted) throw new AbortedError();
    try {
      const bytes = await read(path);
      return { bytes, picture: await decode(bytes, shorten(path), { mask: kind === 'unreadable-mask' }) };
    } catch (error) {
      if (!(error instanceof BadImageError)) throw error;
      this.#find(kind, dataset, [path], reasonOf(error));
      return undefined;
    }
  }

  async #mask(dataset: string, path: string, picture: RgbImage): Promise<void> {
    const opened = await this.#open(path, 'unreadable-mask', dataset);
    if (!opened) return;
    const mask = opened.picture;
    try {
      const brightest = readMask(path, mask, picture);
      if (!brightest.includes(255) && !brightest.some((v) => v > 127))
        this.#find('empty-mask', dataset, [path]);
      else if (!scaleMask(brightest, mask, this.options.side).includes(1))
        this.#find('vanishing-mask', dataset, [path], `${this.options.side} x ${this.options.side} pixels`);
      if (mask.width !== picture.width || mask.height !== picture.height) {
        const sizes = `${mask.width} x ${mask.height} pixels, the image has ${picture.width} x ${picture.height}`;
        this.#find('scaled-mask', dataset, [path], sizes);
      }
    } catch (error) {
      if (!(error instanceof BadImageError)) throw error;
      this.#find('bad-mask', dataset, [path], reasonOf(error));
    }
  }

  async #normalMask(dataset: string, path: string): Promise<void> {
    const opened = await this.#open(path, 'unreadable-mask', dataset);
    if (!opened) return;
    const marks = opened.picture.data.some((v) => v > 127);
    this.#find(marks ? 'marked-normal' : 'normal-mask', dataset, [path]);
  }

  report(splits: readonly SplitToCheck[], complete: boolean): CheckReport {
    this.#colours(splits);
    this.#duplicates();
    this.#lookAlikes();
    const order = { error: 0, warning: 1, hint: 2 };
    const findings = this.#findings.sort((a, b) => order[a.severity] - order[b.severity]);
    return {
      counts: this.#tallies.map((tally) => tally.count()),
      findings,
      checked: this.#checked,
      complete,
    };
  }

  #colours(splits: readonly SplitToCheck[]): void {
    for (const name of new Set(splits.map(({ dataset }) => dataset.name))) {
      const tallies = this.#tallies.filter(({ dataset }) => dataset === name);
      const read = (of: readonly Tally[]) => of.reduce((sum, t) => sum + t.images - t.unreadable, 0);
      const coloured = (of: readonly Tally[]) => of.reduce((sum, t) => sum + t.coloured, 0);
      if (coloured(tallies) === 0 || coloured(tallies) === read(tallies)) continue;
      const parts = (['normal', 'abnormal'] as const).map((label) => {
        const of = tallies.filter((tally) => tally.label === label);
        return `${coloured(of)} of ${read(of)} ${label}`;
      });
      const first = tallies.find(({ firstColoured }) => firstColoured !== undefined)!.firstColoured!;
      this.#find('mixed-colour', name, [first], `the first of ${parts.join(' and ')} images in colour`);
    }
  }

  #duplicates(): void {
    const groups = new Map<string, Facts[]>();
    for (const facts of this.#facts) {
      const group = groups.get(facts.pixels);
      if (group) group.push(facts);
      else groups.set(facts.pixels, [facts]);
    }
    for (const group of groups.values()) {
      if (group.length < 2) continue;
      const paths = group.map(({ image }) => image.path);
      const [first] = group as [Facts, ...Facts[]];
      const { name } = first.place.dataset;
      const same = group.every(({ bytes }) => bytes === first.bytes) ? 'the same bytes' : 'the same pixels';
      const mixed = group.some(({ image }) => image.abnormal !== first.image.abnormal);
      const apart = group.some(({ place }) => place !== first.place);
      if (mixed) this.#find('contradiction', name, paths, same);
      if (apart) this.#find('leak', name, paths, `${same}, in ${placesOf(group)}`);
      if (!mixed && !apart) this.#find('duplicate', name, paths, same);
    }
  }

  #lookAlikes(): void {
    const facts = this.#facts;
    if (facts.length > MAX_COMPARED) return;
    const looks = facts.map(({ look }) => look);
    const differ = (a: number, b: number) => facts[a]!.pixels !== facts[b]!.pixels;
    for (const [a, b] of closePairs(looks, MAX_PAIRS, differ)) {
      const pair = [facts[a]!, facts[b]!];
      const apart = pair[0]!.place !== pair[1]!.place;
      this.#find(
        'near-duplicate',
        pair[0]!.place.dataset.name,
        pair.map(({ image }) => image.path),
        apart ? `in ${placesOf(pair)}` : '',
      );
    }
  }
}

/** "Brain valid and Brain test". */
function placesOf(group: readonly Facts[]): string {
  const places = group.map(({ place }) => `${place.dataset.name} ${place.split}`);
  return [...new Set(places)].join(' and ');
}

/** The fact without the file's name. */
function reasonOf({ file, fact }: BadImageError): string {
  return fact.slice(file.length + 2).replace(/\.$/, '');
}

function isColoured(data: Uint8Array): boolean {
  for (let i = 0; i < data.length; i += 3) {
    const [r, g, b] = [data[i]!, data[i + 1]!, data[i + 2]!];
    if (Math.max(r, g, b) - Math.min(r, g, b) > GRAY_TOLERANCE) return true;
  }
  return false;
}
