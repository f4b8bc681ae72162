/** How each method of `reproduce` gets from data to results. A method is one entry of the table at the end. */
import { join, resolve } from 'node:path';
import type { Dataset } from '../data/datasets';
import { knownDataset, knownDatasets } from '../data/known-datasets';
import { findShotList, openDataset } from '../data/node/datasets';
import type { Cell } from '../evaluation/grid';
import type { EvaluationRecord } from '../evaluation/record';
import { OptionError } from '../runtime/errors';
import type { TrainingMethod } from '../training/options';
import { fewShotRun } from './commands/train';
import { zeroShotRun } from './commands/train-zero';
import { evaluateDataset } from './evaluate-dataset';
import type { EvalFlags } from './evaluation-flags';
import { type FinishedCell, MODEL, markTrained, trainingProgress } from './grid-folder';
import type { Session } from './session';
import { commandLine } from './shell';
import type { TrainingFlags } from './training-flags';
import { type TrainingPlan, trainToFile } from './training-run';

/** What all cells of a grid share. */
export interface GridFlags
  extends Omit<
    TrainingFlags,
    'out' | 'method' | 'object' | 'prompts' | 'keepEpochs' | 'init' | 'seed' | 'log' | 'resume'
  > {
  select: 'last' | 'best-on-test';
  resamples: number;
  pictures: number;
}

export interface CellContext {
  /** Opened by the first cell that needs it. */
  readonly session: () => Promise<Session>;
  /** Folder of all data sets. */
  readonly root: string;
  /** Folder of the one tested. */
  readonly path: string;
  /** The cell's own folder. */
  readonly folder: string;
  readonly flags: GridFlags;
}

export interface MethodRunner {
  /** Zero-shot: needs other data sets to train on. */
  readonly trains: boolean;
  /** Why the method cannot do a cell; undefined where it can. @param valid what is trained on, few-shot. */
  readonly cannot?: (cell: Cell, valid?: Dataset) => string | undefined;
  readonly run: (cell: Cell, context: CellContext) => Promise<FinishedCell>;
}

/** The images for few-shot training and the memory bank. */
interface ChosenShots {
  readonly shots: number;
  readonly draw: number;
  readonly shotList?: string;
  readonly seed: number;
}

async function shotsOf({ dataset, shots, seed }: Cell, { root }: CellContext): Promise<ChosenShots> {
  const shotList = await findShotList(root, dataset, shots!);
  return { shots: shots!, draw: 0, seed, ...(shotList !== undefined && { shotList }) };
}

function noteOfShots({ shotList }: ChosenShots): string | undefined {
  return shotList === undefined ? 'no published shot list was found; the seed drew the shots' : undefined;
}

function noteOfOthers(others: readonly Dataset[], tested: string): string | undefined {
  const names = new Set<string>(others.map(({ name }) => name));
  const whole = knownDatasets.every(({ name }) => name === tested || names.has(name));
  const five = knownDatasets.length - 1;
  return whole && names.size === five
    ? undefined
    : `trained on ${[...names].sort().join(', ')}, and not on the paper’s other ${five} data sets`;
}

/** @param method flags that make the command `eval` evaluate the method. */
async function evaluateCell(
  context: CellContext,
  method: Pick<EvalFlags, 'model' | 'method' | 'augment'>,
  seed: number,
  shots: ChosenShots | undefined,
): Promise<EvaluationRecord> {
  const { path, folder, flags } = context;
  const dataset = await openDataset(path, { split: 'test' });
  const { weights, preset, imageSize, precision, heads, textHeads, select, resamples, pictures } = flags;
  const record = await evaluateDataset(await context.session(), {
    path: resolve(path),
    dataset,
    command: commandLine(),
    flags: {
      ...method,
      ...(weights !== undefined && { weights }),
      ...(preset && { preset }),
      ...(imageSize !== undefined && { imageSize }),
      precision,
      ...(heads !== undefined && { heads }),
      ...(textHeads !== undefined && { textHeads }),
      // What is not trained has no epochs to choose from.
      select: method.model === undefined ? 'last' : select,
      resamples,
      pictures,
      seed,
      bank: shots ? 'on' : 'off',
      // A trained model names its shots, without those that --keep-going left out.
      ...(method.model === undefined && shots),
      out: folder,
      split: 'test',
      shard: { index: 1, of: 1 },
      ...(flags.keepGoing && { keepGoing: true }),
      ...(flags.quiet && { quiet: true }),
    },
  });
  return record!;
}

/** Adapters or layers that are trained for each cell: few-shot on its shots, zero-shot on all other data sets. */
function trained(method: TrainingMethod): MethodRunner {
  return {
    trains: true,
    async run(cell, context) {
      const { root, path, folder, flags } = context;
      const out = join(folder, MODEL);
      const progress = await trainingProgress(out);
      const shots = cell.protocol === 'few-shot' ? await shotsOf(cell, context) : undefined;
      const object = shots && method !== 'mla-lp' ? knownDataset(cell.dataset)?.object : undefined;
      const training = {
        ...flags,
        method,
        out,
        seed: cell.seed,
        keepEpochs: flags.select === 'best-on-test',
        // A run that was killed goes on from its saved state.
        resume: progress === 'begun',
        ...(object !== undefined && { object }),
      };
      // APRIL-GAN compares with images as they are.
      const augment = method !== 'april-gan';
      const notes: (string | undefined)[] = [];
      let run: TrainingPlan;
      if (shots) {
        run = (await fewShotRun(path, { ...training, ...shots, augment: true })).run;
        notes.push(noteOfShots(shots));
      } else {
        const zeroShot = await zeroShotRun(root, { ...training, holdOut: cell.dataset });
        run = zeroShot.run;
        notes.push(noteOfOthers(zeroShot.datasets, cell.dataset));
        if (method !== 'mla-lp')
          notes.push('trained with sentences about a medical image, not about each data set’s own object');
      }
      if (progress !== 'trained') {
        const trainer = await trainToFile({
          ...run,
          session: await context.session(),
          goOn: 'The same command goes on from there.',
        });
        await trainer.destroy();
        await markTrained(out);
      }
      const record = await evaluateCell(context, { model: out, augment }, cell.seed, shots);
      const note = notes.filter((text) => text !== undefined).join('; ');
      return { record, ...(note && { note }) };
    },
  };
}

/** By the name that `--methods` takes. */
export const gridMethods: Readonly<Record<string, MethodRunner>> = {
  winclip: {
    trains: false,
    async run(cell, context) {
      const shots = cell.protocol === 'few-shot' ? await shotsOf(cell, context) : undefined;
      const record = await evaluateCell(context, { method: 'winclip', augment: false }, cell.seed, shots);
      const note = shots && noteOfShots(shots);
      return { record, ...(note !== undefined && { note }) };
    },
  },
  'april-gan': {
    ...trained('april-gan'),
    cannot: ({ dataset }, valid) =>
      valid && !valid.hasMasks ? `it learns from masks alone, and ${dataset} has none.` : undefined,
  },
  mvfa: trained('mvfa'),
  'mla-lp': trained('mla-lp'),
  clip: {
    trains: false,
    cannot: ({ protocol }) =>
      protocol === 'few-shot' ? 'plain CLIP has no adapters that a memory bank could hold.' : undefined,
    run: async (cell, context) => ({
      record: await evaluateCell(context, { method: 'clip', augment: false }, cell.seed, undefined),
    }),
  },
};

/** @throws OptionError for a name that is not in the table. */
export function gridMethod(name: string): MethodRunner {
  const runner = Object.hasOwn(gridMethods, name) ? gridMethods[name] : undefined;
  if (runner) return runner;
  throw new OptionError(`There is no method ${name}.`, `There are: ${Object.keys(gridMethods).join(', ')}.`);
}
