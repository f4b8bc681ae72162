/** Options that `train` and `train-zero` share: every number of a run. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { TrainOptions } from '../library/node';
import { OptionError } from '../runtime/errors';
import { APRIL_GAN_RATE, DEFAULTS, TRAINING_METHODS, type TrainingMethod } from '../training/options';
import { notNegative, positiveInteger, wholeNumber } from './options';
import { readPrompts, sidecarImageSize } from './sidecar';
import type { TrainingPlan } from './training-run';

export interface TrainingFlags {
  weights?: string;
  out: string;
  method: TrainingMethod;
  object?: string;
  prompts?: string;
  keepEpochs?: boolean;
  keepGoing?: boolean;
  init?: string;
  preset?: 'authors' | 'paper';
  imageSize?: number;
  precision: string;
  epochs: number;
  steps?: number;
  batch: number;
  microBatch?: number;
  lrAdapters?: number;
  lrPrompts: number;
  optimiser: 'adam' | 'adamw' | 'sgd';
  betas: readonly [number, number];
  momentum: number;
  weightDecay: number;
  schedule: 'constant' | 'cosine';
  warmup: number;
  clip: number;
  contextVectors: number;
  stages: number;
  seed: number;
  shuffle: boolean;
  memory?: number;
  heads?: number;
  textHeads?: number;
  log?: string;
  saveEvery: number;
  resume?: boolean;
  quiet?: boolean;
}

export const DEFAULT_MODEL = 'mla-lp-model.safetensors';

export function addTrainingOptions(command: Command): Command {
  command
    .option('--weights <file>', 'CLIP weights: a file, a folder, a known name, or synthetic:<model>')
    .option('--out <file>', 'where the trained model goes', DEFAULT_MODEL)
    .addOption(
      new Option(
        '--method <name>',
        'mla-lp: adapters and prompts; mvfa: adapters alone, fixed sentences; april-gan: linear layers, from masks alone',
      )
        .choices(TRAINING_METHODS)
        .default(DEFAULTS.method),
    )
    .option(
      '--object <name>',
      'what the fixed sentences call the object, e.g. Brain (methods mvfa, april-gan)',
    )
    .option('--prompts <file>', 'normal and abnormal sentences of your own (methods mvfa, april-gan)')
    .option('--keep-epochs', 'also keep the model as it was after each epoch: <out>.epoch-N.safetensors')
    .option('--init <file>', 'trained adapters and prompts to begin with');
  return addHyperparameters(command)
    .option('--seed <n>', 'of shots, initial values and order', wholeNumber, DEFAULTS.seed)
    .option('--log <file>', 'JSON Lines, one object a step: step, epoch, loss, det, seg, ...')
    .option('--save-every <seconds>', 'longest time without a saved state', notNegative, 60)
    .option('--keep-going', 'leave out images that cannot be read, and list them, instead of stopping')
    .option('--resume', 'go on from the saved state beside --out')
    .option('--quiet', 'no progress');
}

/** Those that say how training goes, and not where it begins and ends. */
export function addHyperparameters(command: Command): Command {
  return command
    .addOption(
      new Option('--preset <name>', "authors: the released code; paper: the paper's equations")
        .choices(['authors', 'paper'])
        .default('authors'),
    )
    .option('--image-size <px>', 'side the model runs at (default: 240; phantom-clip 112)', positiveInteger)
    .addOption(
      new Option('--precision <type>', 'storage of frozen weights and activations')
        .choices(['f32', 'f16'])
        .default('f32'),
    )
    .option('--epochs <n>', 'times that every image version is seen', positiveInteger, DEFAULTS.epochs)
    .option('--steps <n>', 'steps in all, instead of --epochs', positiveInteger)
    .option('--batch <n>', 'images a step', positiveInteger, DEFAULTS.batch)
    .option(
      '--micro-batch <n>',
      'images on the device at once; gradients add up to the batch',
      positiveInteger,
    )
    .option(
      '--lr-adapters <rate>',
      `learning rate of the adapters or linear layers (default: ${DEFAULTS.adapterRate}; april-gan ${APRIL_GAN_RATE})`,
      notNegative,
    )
    .option('--lr-prompts <rate>', 'learning rate of the context vectors', notNegative, DEFAULTS.promptRate)
    .addOption(
      new Option('--optimiser <name>', 'update rule').choices(['adam', 'adamw', 'sgd']).default('adam'),
    )
    .option('--betas <b1,b2>', "Adam's", twoNumbers, DEFAULTS.betas)
    .option('--momentum <n>', "SGD's", notNegative, DEFAULTS.momentum)
    .option('--weight-decay <n>', 'L2 with adam and sgd, decoupled with adamw', notNegative, 0)
    .addOption(
      new Option('--schedule <name>', 'learning rate over the run')
        .choices(['constant', 'cosine'])
        .default('constant'),
    )
    .option('--warmup <steps>', 'steps of linear warm-up', wholeNumber, 0)
    .option('--clip <norm>', 'largest norm of all gradients together (0: none)', notNegative, 0)
    .option(
      '--context-vectors <n>',
      'learned vectors before each phrase',
      positiveInteger,
      DEFAULTS.contextVectors,
    )
    .option('--stages <n>', 'depths that carry adapters', positiveInteger, DEFAULTS.stages)
    .option('--no-shuffle', 'keep the order of the images')
    .option('--memory <size>', 'GPU memory to fit, e.g. 6GiB (default: 2GiB, or what is needed)', bytes)
    .option('--heads <n>', "image tower's attention heads, where width / 64 is wrong", positiveInteger)
    .option('--text-heads <n>', "text tower's attention heads", positiveInteger);
}

/** @throws OptionError without weights. */
export function requireWeights(weights: string | undefined): string {
  if (weights !== undefined) return weights;
  throw new OptionError(
    'No --weights were given.',
    'phantom-clip ships with mla-lp; `mla-lp weights pull` fetches the real ones (see `mla-lp weights list`).',
  );
}

/** Where a run's results go, and how it is shown. */
export function outputOf(
  flags: TrainingFlags,
): Pick<TrainingPlan, 'out' | 'resume' | 'log' | 'keepEpochs' | 'saveSeconds' | 'quiet'> {
  return {
    out: flags.out,
    resume: flags.resume === true,
    ...(flags.log !== undefined && { log: flags.log }),
    keepEpochs: flags.keepEpochs === true,
    saveSeconds: flags.saveEvery,
    quiet: flags.quiet === true,
  };
}

/**
 * The library's options. The image size is the flags', else that of the weights' own file, else 240.
 * @throws OptionError when the file of sentences cannot be read.
 */
export async function trainOptions(flags: TrainingFlags): Promise<TrainOptions> {
  const { init, steps, microBatch, memory, object, prompts } = flags;
  const weights = requireWeights(flags.weights);
  if (object !== undefined && prompts !== undefined)
    throw new OptionError('--object and --prompts exclude each other.', 'Give one of them.');
  return {
    method: flags.method,
    ...(object !== undefined && { object }),
    ...(prompts !== undefined && { prompts: (await readPrompts(prompts)).set }),
    preset: flags.preset ?? 'authors',
    imageSize: flags.imageSize ?? (await sidecarImageSize(weights)) ?? DEFAULTS.imageSize,
    stages: flags.stages,
    contextVectors: flags.contextVectors,
    batch: flags.batch,
    epochs: flags.epochs,
    ...(flags.lrAdapters !== undefined && { adapterRate: flags.lrAdapters }),
    promptRate: flags.lrPrompts,
    optimiser: flags.optimiser,
    betas: flags.betas,
    momentum: flags.momentum,
    weightDecay: flags.weightDecay,
    schedule: flags.schedule,
    warmup: flags.warmup,
    maxNorm: flags.clip,
    seed: flags.seed,
    shuffle: flags.shuffle,
    ...(init !== undefined && { init }),
    ...(steps !== undefined && { steps }),
    ...(microBatch !== undefined && { microBatch }),
    ...(memory !== undefined && { memory }),
  };
}

function twoNumbers(text: string): readonly [number, number] {
  const values = text.split(',').map(Number);
  if (values.length !== 2 || !values.every((v) => v >= 0 && v < 1)) {
    throw new InvalidArgumentError('It must be two numbers from 0 to below 1, as in 0.5,0.999.');
  }
  return values as [number, number];
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
};

/** "6GiB", "800MB", "2147483648" -> bytes. */
function bytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]i?)?b?$/i.exec(text.trim());
  const value = match ? Math.floor(Number(match[1]) * UNITS[(match[2] ?? '').toLowerCase()]!) : 0;
  if (!(value >= 1)) throw new InvalidArgumentError('It must be a size such as 6GiB or 800MB.');
  return value;
}
