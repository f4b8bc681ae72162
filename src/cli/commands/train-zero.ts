import type { Command } from 'commander';
import { openDatasets } from '../../data/node/datasets';
import { OptionError } from '../../runtime/errors';
import { openSession } from '../session';
import { sidecarImageSize } from '../sidecar';
import { addTrainingOptions, requireWeights, type TrainingFlags, trainOptions } from '../training-flags';
import { trainToFile } from '../training-run';
import { usableImages } from '../usable-images';
import { describeDataset, trainingImages } from './train';

interface TrainZeroFlags extends TrainingFlags {
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
  const all = await openDatasets(root);
  const held = flags.holdOut.replace(/_AD$/i, '').toLowerCase();
  const chosen = all.filter(({ name }) => name.toLowerCase() !== held);
  if (chosen.length === all.length) {
    throw new OptionError(
      `There is no data set ${flags.holdOut} to hold out.`,
      `There are: ${all.map(({ name }) => name).join(', ')}.`,
    );
  }
  const others = await usableImages(chosen, { keepGoing: flags.keepGoing === true, quiet });
  for (const dataset of others) {
    if (!quiet) console.error(describeDataset(dataset));
    for (const warning of dataset.warnings) console.error(`mla-lp: ${warning}`);
  }
  const imageSize = flags.imageSize ?? (await sidecarImageSize(weights)) ?? 240;
  const options = await trainOptions(flags, imageSize);
  const session = await openSession({ ...flags, weights, quiet });
  try {
    const trainer = await trainToFile({
      session,
      images: others.flatMap((dataset) => trainingImages(dataset, dataset.name)),
      options: { ...options, augment: false, about: { heldOut: flags.holdOut } },
      out: flags.out,
      resume: flags.resume === true,
      ...(flags.log !== undefined && { log: flags.log }),
      bank: false,
      keepEpochs: flags.keepEpochs === true,
      saveSeconds: flags.saveEvery,
      quiet,
    });
    await trainer.destroy();
  } finally {
    await session.close();
  }
  if (!quiet) console.error(`Model: ${flags.out}. It has not seen ${flags.holdOut}.`);
}
