import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { chooseShots, type Dataset } from '../../data/datasets';
import { openDataset } from '../../data/node/datasets';
import type { TrainingImage } from '../../library/node';
import { sha256 } from '../../model/identity';
import { OptionError } from '../../runtime/errors';
import { shots, wholeNumber } from '../options';
import { openSession } from '../session';
import { readShotList } from '../shot-list';
import {
  addTrainingOptions,
  outputOf,
  requireWeights,
  type TrainingFlags,
  trainOptions,
} from '../training-flags';
import { type TrainingPlan, trainToFile } from '../training-run';
import { usableImages } from '../usable-images';

export interface TrainFlags extends TrainingFlags {
  shots: number | 'all';
  shotList?: string;
  draw: number;
  augment: boolean;
  bank?: boolean;
}

export function registerTrain(program: Command): void {
  const command = program
    .command('train')
    .description('few-shot training of adapters and prompts on a folder of normal and abnormal images')
    .argument('<dataset>', 'a <Name>_AD folder, a folder with normal/ and abnormal/ (and masks/), or a CSV')
    .option('--shots <k>', 'normal and as many abnormal images to train on, or all', shots, 'all')
    .option('--shot-list <file>', 'published list of the images to use ("n-0: file ..." and "a-0: file ...")')
    .option('--draw <n>', 'which draw of the list', wholeNumber, 0)
    .option('--no-augment', 'images as they are, not in eleven versions')
    .option('--bank', 'also write the memory bank: features of the normal images, large (it can be rebuilt)');
  addTrainingOptions(command).action(train);
}

async function train(path: string, flags: TrainFlags): Promise<void> {
  const quiet = flags.quiet === true;
  const weights = requireWeights(flags.weights);
  const { run } = await fewShotRun(path, flags);
  const session = await openSession({ ...flags, weights, quiet });
  try {
    const trainer = await trainToFile({ ...run, session });
    await trainer.destroy();
  } finally {
    await session.close();
  }
  if (!quiet) {
    console.error(
      `Model: ${flags.out}. Use it: mla-lp detect IMAGES --weights ${weights} --checkpoint ${flags.out}`,
    );
  }
}

/**
 * Chooses the images, says on screen what they are, and puts together the run that trains on them.
 * @throws OptionError, BadImageError, before any device is opened.
 */
export async function fewShotRun(
  path: string,
  flags: TrainFlags,
): Promise<{ dataset: Dataset; run: TrainingPlan }> {
  const quiet = flags.quiet === true;
  if (flags.bank === true && flags.method === 'april-gan') {
    throw new OptionError(
      'Method april-gan compares with normal images as they are: it has no --bank to write.',
      'Leave it out, and give detect --bank-images.',
    );
  }
  const all = await openDataset(path, { split: 'valid' });
  const list = flags.shotList === undefined ? undefined : await readShotList(flags.shotList, flags.draw);
  const chosen = chooseShots(all, flags.shots, { seed: flags.seed, ...(list && { list }) });
  const [dataset] = (await usableImages([chosen], { keepGoing: flags.keepGoing === true, quiet })) as [
    Dataset,
  ];
  announce([dataset], quiet);
  const options = await trainOptions(flags);
  const about = await aboutShots(dataset.name, flags);
  const run = {
    images: trainingImages(dataset),
    options: { ...options, augment: flags.augment, about },
    bank: flags.bank === true,
    ...outputOf(flags),
  };
  return { dataset, run };
}

/** What the model's file says of its training images, beside the checksums of the normal ones: no path. */
async function aboutShots(
  dataset: string,
  { shots, shotList, draw }: TrainFlags,
): Promise<Record<string, string>> {
  return {
    dataset,
    shots: String(shots),
    ...(shotList !== undefined && {
      draw: String(draw),
      shotList: await sha256(await readFile(shotList, 'utf8')),
    }),
  };
}

/** @param group name of the data set, where batches must not mix several. */
export function trainingImages(dataset: Dataset, group?: string): TrainingImage[] {
  return dataset.images.map(({ path, abnormal, mask }) => ({
    image: path,
    abnormal,
    ...(mask !== undefined && { mask }),
    ...(group !== undefined && { group }),
  }));
}

/** Says on screen what is trained on. */
export function announce(datasets: readonly Dataset[], quiet: boolean): void {
  for (const dataset of datasets) {
    if (!quiet) console.error(describeDataset(dataset));
    for (const warning of dataset.warnings) console.error(`mla-lp: ${warning}`);
  }
}

export function describeDataset({ name, images, hasMasks }: Dataset): string {
  const abnormal = images.filter((image) => image.abnormal).length;
  const pixels = hasMasks ? 'with masks' : 'without masks: detection only';
  return `${name}: ${images.length - abnormal} normal and ${abnormal} abnormal images, ${pixels}.`;
}
