import type { Command } from 'commander';
import type { Dataset } from '../../data/datasets';
import { openDatasets } from '../../data/node/datasets';
import { OptionError } from '../../runtime/errors';
import { openSession } from '../session';
import {
  addTrainingOptions,
  outputOf,
  requireWeights,
  type TrainingFlags,
  trainOptions,
} from '../training-flags';
import { type TrainingPlan, trainToFile } from '../training-run';
import { usableImages } from '../usable-images';
import { announce, trainingImages } from './train';

export interface TrainZeroFlags extends TrainingFlags {
  holdOut: string;
}

export function registerTrainZero(program: Command): void {
  const command = program
    .command('train-zero')
    .description(
      'zero-shot training: on all data sets of a folder but one, which is then tested without training',
    )
    .argument('<root>', 'folder of <Name>_AD data sets; their test/ splits are trained on')
    .requiredOption('--hold-out <name>', 'data set to leave out, e.g. Brain');
  addTrainingOptions(command).action(trainZero);
}

async function trainZero(root: string, flags: TrainZeroFlags): Promise<void> {
  const quiet = flags.quiet === true;
  const weights = requireWeights(flags.weights);
  const { run } = await zeroShotRun(root, flags);
  const session = await openSession({ ...flags, weights, quiet });
  try {
    const trainer = await trainToFile({ ...run, session });
    await trainer.destroy();
  } finally {
    await session.close();
  }
  if (!quiet) console.error(`Model: ${flags.out}. It has not seen ${flags.holdOut}.`);
}

/**
 * Opens all data sets but the one held out, says on screen what they are, and puts together the run that trains on them.
 * @throws OptionError, BadImageError, before any device is opened.
 */
export async function zeroShotRun(
  root: string,
  flags: TrainZeroFlags,
): Promise<{ datasets: Dataset[]; run: TrainingPlan }> {
  const quiet = flags.quiet === true;
  const all = await openDatasets(root);
  const held = flags.holdOut.replace(/_AD$/i, '').toLowerCase();
  const chosen = all.filter(({ name }) => name.toLowerCase() !== held);
  if (chosen.length === all.length) {
    throw new OptionError(
      `There is no data set ${flags.holdOut} to hold out.`,
      `There are: ${all.map(({ name }) => name).join(', ')}.`,
    );
  }
  const datasets = await usableImages(chosen, { keepGoing: flags.keepGoing === true, quiet });
  announce(datasets, quiet);
  const options = await trainOptions(flags);
  const run = {
    images: datasets.flatMap((dataset) => trainingImages(dataset, dataset.name)),
    options: { ...options, augment: false, about: { heldOut: flags.holdOut } },
    bank: false,
    ...outputOf(flags),
  };
  return { datasets, run };
}
