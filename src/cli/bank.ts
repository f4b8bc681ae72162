/** Which normal images a memory bank is made of. */
import { basename, resolve } from 'node:path';
import { chooseShots, type Dataset } from '../data/datasets';
import { openDataset } from '../data/node/datasets';
import { isFile } from '../io/node/is-file';
import { imageIdentity } from '../library/node';
import { OptionError } from '../runtime/errors';
import { DEFAULTS } from '../training/options';
import type { BankFlags } from './evaluation-flags';
import { readShotList } from './shot-list';
import { type TrainedOn, trainedOn } from './trained-on';
import { bankPath } from './training-run';
import { brokenImages } from './usable-images';

export interface ChosenBank {
  /** A bank file, or images to make it of. */
  readonly source: string | { readonly images: readonly string[]; readonly augment: boolean };
  /** Says in results what the bank was. */
  readonly description: string;
}

export interface BankContext {
  /** What is evaluated: no bank image may be among it. */
  readonly tested: Dataset;
  /** The folder or CSV that it came from. */
  readonly path: string;
  /** The trained model's file. */
  readonly model: string | undefined;
  /** What the model says of its training. */
  readonly trained: TrainedOn;
  /** Whether the method compares with images as they are, and has no bank files. */
  readonly plain: boolean;
}

/**
 * The bank file that was given, else the one beside the model, else normal images: the shots that the flags name, else those the
 * model was trained on, else all, of `--bank-from`, else of the data set's valid split.
 * @throws OptionError where no bank can be made, or its images would be tested.
 */
export async function chooseBank(flags: BankFlags, context: BankContext): Promise<ChosenBank> {
  const { tested, path, model, trained, plain } = context;
  const asked = flags.shots !== undefined || flags.shotList !== undefined;
  const imagesWanted = asked || flags.bankFrom !== undefined || !flags.augment || plain;
  const beside = imagesWanted || model === undefined ? undefined : bankPath(model);
  const file = flags.bankFile ?? (beside !== undefined && (await isFile(beside)) ? beside : undefined);
  if (file !== undefined) {
    await refuseTested(file, tested);
    return { source: file, description: `file ${basename(file)}` };
  }

  const all = await openDataset(flags.bankFrom ?? path, { split: 'valid' });
  const normals = all.images.filter(({ abnormal }) => !abnormal).map((image) => image.path);
  const { images, leftOut } =
    !asked && trained.normals
      ? { images: await sameImages(normals, trained.normals, all.name), leftOut: 0 }
      : await drawn(all, flags);
  const leaked = new Set(tested.images.map((image) => resolve(image.path)));
  const twice = images.find((image) => leaked.has(resolve(image)));
  if (twice !== undefined) {
    throw new OptionError(
      `${twice} would be in the memory bank and be tested.`,
      'Name a data set for the bank with --bank-from, or a bank file with --bank-file.',
    );
  }
  const augment = flags.augment && !plain && trained.augment !== false;
  const which = !asked && trained.normals ? ' that the model was trained on' : '';
  const without =
    leftOut > 0 ? ` (${leftOut} of ${images.length + leftOut} cannot be read and were left out)` : '';
  return {
    source: { images, augment },
    description: `${images.length} normal images${which}${without}${augment ? ', each in eleven versions' : ''}`,
  };
}

async function drawn(
  all: Dataset,
  flags: BankFlags,
): Promise<{ readonly images: readonly string[]; readonly leftOut: number }> {
  const { shots = 'all', shotList, draw = 0, seed = DEFAULTS.seed } = flags;
  const list = shotList === undefined ? undefined : await readShotList(shotList, draw);
  const chosen = chooseShots(all, shots, { seed, ...(list && { list }) });
  const normals = chosen.images.filter(({ abnormal }) => !abnormal);
  const paths = normals.map(({ path }) => path);
  if (!flags.keepGoing) return { images: paths, leftOut: 0 };
  const broken = await brokenImages(normals, { keepGoing: true, quiet: flags.quiet === true });
  const images = paths.filter((path) => !broken.has(path));
  if (images.length > 0) return { images, leftOut: broken.size };
  throw new OptionError(
    `None of the ${normals.length} normal images chosen for the memory bank of ${all.name} can be used.`,
    'Choose others: more --shots, another --seed, or another --bank-from.',
  );
}

/** The images that a model was trained on, found again by what its file knows of them. @throws OptionError */
async function sameImages(
  paths: readonly string[],
  identities: readonly string[],
  name: string,
): Promise<string[]> {
  const wanted = new Set(identities);
  const found: string[] = [];
  for (const path of paths) if (wanted.delete(await imageIdentity(path))) found.push(path);
  if (wanted.size === 0) return found;
  throw new OptionError(
    `${wanted.size} of the ${identities.length} normal images that the model was trained on are not in ${name}.`,
    'Name the data set it was trained on with --bank-from, or choose other images with --shots.',
  );
}

/** @throws OptionError when a bank file says that it holds an image that is tested: its distances would be 0. */
async function refuseTested(file: string, tested: Dataset): Promise<void> {
  const held = new Set((await trainedOn(file)).normals);
  if (held.size === 0) return;
  for (const { path, abnormal } of tested.images) {
    if (abnormal || !held.has(await imageIdentity(path))) continue;
    throw new OptionError(
      `${path} is in the memory bank ${file} and would be tested.`,
      'Test on images that the model was not trained on, or choose those of the bank with --shots or --bank-from.',
    );
  }
}
