/** Every number of a training run, its default (SPEC: the authors' code) and its limits. */
import type { Preset } from '../model/presets';
import { AUTHORS } from '../model/presets';
import { OptionError } from '../runtime/errors';
import type { ScheduleName } from './schedule';

export type OptimiserName = 'adam' | 'adamw' | 'sgd';

/**
 * `mla-lp`: adapters and context vectors. `mvfa`: adapters alone, against the text columns of fixed sentences. `april-gan`: linear
 * layers against the same columns, from masks alone.
 */
export type TrainingMethod = (typeof TRAINING_METHODS)[number];

export const TRAINING_METHODS = ['mla-lp', 'mvfa', 'april-gan'] as const;

export interface TrainingOptions {
  readonly method: TrainingMethod;
  readonly preset: Preset;
  /** Side the model runs at, px. */
  readonly imageSize: number;
  /** Depths that carry adapters. */
  readonly stages: number;
  /** Learned vectors before each phrase; method mla-lp. */
  readonly contextVectors: number;
  /** Images a step. */
  readonly batch: number;
  /** Images the device takes at once; gradients add up to those of `batch`. 0: all of the batch. */
  readonly microBatch: number;
  readonly epochs: number;
  /** Steps in all; 0: as `epochs` give. */
  readonly steps: number;
  /** Of adapters and linear layers; 1e-3 unless told where the method is april-gan. */
  readonly adapterRate: number;
  readonly promptRate: number;
  readonly optimiser: OptimiserName;
  /** Adam's decay of the two moments. */
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  /** SGD's. */
  readonly momentum: number;
  readonly weightDecay: number;
  readonly schedule: ScheduleName;
  /** Steps of linear warm-up. */
  readonly warmup: number;
  /** Largest Euclidean norm of all gradients together; 0: no clipping. */
  readonly maxNorm: number;
  readonly seed: number;
  readonly shuffle: boolean;
  /** Each image in eleven versions (rotations, translations, flips). */
  readonly augment: boolean;
  /** GPU memory the run may take, bytes; 0: 2 GiB, or what the least plan needs. */
  readonly memory: number;
}

export const DEFAULTS: TrainingOptions = {
  method: 'mla-lp',
  preset: AUTHORS,
  imageSize: 240,
  stages: 4,
  contextVectors: 8,
  batch: 16,
  microBatch: 0,
  epochs: 50,
  steps: 0,
  adapterRate: 1e-4,
  promptRate: 1e-3,
  optimiser: 'adam',
  betas: [0.5, 0.999],
  epsilon: 1e-8,
  momentum: 0.9,
  weightDecay: 0,
  schedule: 'constant',
  warmup: 0,
  maxNorm: 0,
  seed: 111,
  shuffle: true,
  augment: true,
  memory: 0,
};

/** Adam's rate in the authors' train.py. */
export const APRIL_GAN_RATE = 1e-3;

const WHOLE: Readonly<Record<string, number>> = {
  imageSize: 1,
  stages: 1,
  contextVectors: 1,
  batch: 1,
  microBatch: 0,
  epochs: 1,
  steps: 0,
  warmup: 0,
  seed: 0,
  memory: 0,
};
const NOT_NEGATIVE = ['adapterRate', 'promptRate', 'momentum', 'weightDecay', 'maxNorm', 'epsilon'];

/** Defaults filled in. @throws OptionError naming the first option that means nothing. */
export function completeOptions(given: Partial<TrainingOptions>): TrainingOptions {
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const own = given.method === 'april-gan' ? { adapterRate: APRIL_GAN_RATE } : {};
  const options: TrainingOptions = { ...DEFAULTS, ...own, ...set };
  const values = options as unknown as Record<string, number>;
  for (const [name, least] of Object.entries(WHOLE)) {
    if (!Number.isSafeInteger(values[name]) || values[name]! < least) {
      throw new OptionError(`${name} is ${values[name]}.`, `Give a whole number of at least ${least}.`);
    }
  }
  for (const name of NOT_NEGATIVE) {
    if (!(Number.isFinite(values[name]) && values[name]! >= 0)) {
      throw new OptionError(`${name} is ${values[name]}.`, 'Give a number of at least 0.');
    }
  }
  if (!TRAINING_METHODS.includes(options.method))
    throw new OptionError(
      `There is no method ${options.method} to train.`,
      `Use ${TRAINING_METHODS.slice(0, -1).join(', ')} or ${TRAINING_METHODS.at(-1)}.`,
    );
  if (!options.betas.every((beta) => beta >= 0 && beta < 1)) {
    throw new OptionError(`betas are ${options.betas.join(' and ')}.`, 'Give two numbers from 0 to below 1.');
  }
  if (options.momentum >= 1) throw new OptionError(`momentum is ${options.momentum}.`, 'It must be below 1.');
  return options;
}
