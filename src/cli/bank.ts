/** Which normal images a memory bank is made of. */
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { chooseShots, type Dataset } from '../data/datasets';
import { openDataset } from '../data/node/datasets';
import { OptionError } from '../runtime/errors';
import { DEFAULTS } from '../training/options';
import type { BankFlags } from './evaluation-flags';
import { readShotList } from './shot-list';
import { bankPath } from './training-run';

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
}

/** Shots that a model of ours was trained on. */
export interface TrainedOn {
  readonly shots?: number | 'all';
  readonly draw?: number;
  readonly seed?: number;
  readonly augment?: boolean;
}

/**
 * The bank file that was given, else the one beside the model, else normal images: the shots that the flags name, else those the
 * model was trained on, of `--bank-from`, else of the data set's valid split.
 * @throws OptionError where no bank can be made, or its images would be tested.
 */
export async function chooseBank(flags: BankFlags, context: BankContext): Promise<ChosenBank> {
  const { tested, path, model, trained } = context;
  const asked = [flags.bankFrom, flags.shots, flags.shotList].some((flag) => flag !== undefined);
  if (flags.bankFile !== undefined)
    return { source: flags.bankFile, description: `file ${basename(flags.bankFile)}` };
  const beside = model === undefined ? undefined : bankPath(model);
  if (!asked && beside !== undefined && (await isFile(beside)))
    return { source: beside, description: `file ${basename(beside)}` };

  const all = await openDataset(flags.bankFrom ?? path, { split: 'valid' });
  const k = flags.shots ?? trained.shots ?? 'all';
  const seed = flags.seed ?? trained.seed ?? DEFAULTS.seed;
  const list =
    flags.shotList === undefined
      ? undefined
      : await readShotList(flags.shotList, flags.draw ?? trained.draw ?? 0);
  const chosen = chooseShots(all, k, { seed, ...(list && { list }) });
  const images = chosen.images.filter(({ abnormal }) => !abnormal).map((image) => image.path);
  const leaked = new Set(tested.images.map((image) => resolve(image.path)));
  const twice = images.find((image) => leaked.has(resolve(image)));
  if (twice !== undefined) {
    throw new OptionError(
      `${twice} would be in the memory bank and be tested.`,
      'Name a data set for the bank with --bank-from, or a bank file with --bank-file.',
    );
  }
  const augment = flags.augment && trained.augment !== false;
  const drawn = list ? `of the shot list` : k === 'all' ? '' : ` drawn with seed ${seed}`;
  return {
    source: { images, augment },
    description: `${images.length} normal images${drawn}${augment ? ', each in eleven versions' : ''}`,
  };
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}
