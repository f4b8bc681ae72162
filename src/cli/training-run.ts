/** A training run on disk: one writer, saved states in two generations, a log, and a model at the end. */
import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fileBytes } from '../io/node/file-bytes';
import { type Opened, openNewest, saveGeneration, sweep } from '../io/node/generations';
import { type JsonLog, openLog } from '../io/node/json-log';
import { acquireLock } from '../io/node/lock';
import { ensureWritableFolder, writeFileAtomic } from '../io/node/write-file';
import { openWeights } from '../io/open-weights';
import { memoryBankChunks, modelChunks, readTrainingState, trainingStateChunks } from '../io/training-state';
import { createTrainer, type TrainingImage, type TrainOptions } from '../library/node';
import { AbortedError, DeviceLostError, OptionError } from '../runtime/errors';
import type { TrainingState } from '../training/state';
import type { StepRecord, Trainer } from '../training/trainer';
import { epochPath } from './epoch-models';
import { listenForInterrupt } from './interrupt';
import { progressBar } from './progress';
import type { Session } from './session';

export interface TrainingRunOptions {
  /** Opened anew, once, when the device is lost. */
  readonly session: Session;
  readonly images: readonly TrainingImage[];
  readonly options: TrainOptions;
  /** The model's path; the saved run lies beside it. */
  readonly out: string;
  readonly resume: boolean;
  /** JSON Lines, one object a step. */
  readonly log?: string;
  /** Writes the memory bank of the normal images beside the model. */
  readonly bank: boolean;
  /** Also keeps the model as it was after each epoch. */
  readonly keepEpochs?: boolean;
  /** Longest time without a saved state, s. */
  readonly saveSeconds: number;
  readonly quiet: boolean;
  /** What messages tell an interrupted user; the command with --resume unless told. */
  readonly goOn?: string;
}

/** A run before its device is open. */
export type TrainingPlan = Omit<TrainingRunOptions, 'session'>;

/** A saved state that the command line's messages can name. */
export function statePath(out: string): string {
  return `${out.replace(/\.safetensors$/i, '')}.training.safetensors`;
}

/** How long an interrupted run waits for the step under way, ms. */
const GRACE_MS = 8000;

/**
 * Trains, saves and logs. When the device is lost, a fresh one goes on from the last saved state, to the same bits.
 * @returns the trainer, which the caller destroys.
 * @throws AbortedError after Ctrl-C, when everything is saved; DeviceLostError at the second loss.
 */
export async function trainToFile(run: TrainingRunOptions): Promise<Trainer> {
  const { session, out, quiet } = run;
  const state = statePath(out);
  // Where results go is proved before the long part begins.
  for (const path of [out, run.log]) if (path !== undefined) await ensureWritableFile(path);
  const lock = await acquireLock(out);
  let saved = 0;
  const { goOn = 'The same command with --resume goes on from there.' } = run;
  const hint = () => (saved > 0 ? goOn : 'Nothing was saved yet.');
  const interrupt = listenForInterrupt(
    () => {
      if (!quiet) console.error('\nStopping after this step; once more to stop at once.');
    },
    GRACE_MS,
    () => console.error(`mla-lp: this step takes too long; the last saved one is step ${saved}. ${hint()}`),
  );
  let trainer: Trainer | undefined;
  let log: JsonLog | undefined;
  let savedHere = false;
  const attempt = async (resumed: Opened<TrainingState> | undefined): Promise<Trainer> => {
    trainer = await createTrainer(session.clip, run.images, {
      ...run.options,
      ...(resumed && { resume: resumed.value }),
    });
    saved = trainer.step;
    log = run.log === undefined ? undefined : await openLog(run.log, resumed ? { keepUpToStep: saved } : {});
    if (!quiet) {
      if (resumed) console.error(`Resuming after step ${saved}.`);
      console.error(trainer.describe());
    }
    let refused = resumed?.refused !== undefined;
    const save = async (): Promise<void> => {
      // A damaged newest generation must not take the good one's place.
      const check = refused ? readSaved : undefined;
      await saveGeneration(state, trainingStateChunks(await trainer!.state()), check);
      refused = false;
      savedHere = true;
      saved = trainer!.step;
    };
    try {
      await loop(trainer, run, { log, save, signal: interrupt.signal });
    } catch (error) {
      if (!(error instanceof AbortedError)) throw error;
      await save();
      console.error(`Stopped after step ${saved} of ${trainer.totalSteps}. ${hint()}`);
      throw error;
    }
    await save();
    await saveGeneration(out, modelChunks(await trainer.state('model')));
    if (run.bank) await saveBank(trainer, bankPath(out), quiet);
    return trainer;
  };
  try {
    for (const path of [out, state]) await sweep(path);
    const resumed = run.resume ? await openSaved(state) : undefined;
    try {
      return await attempt(resumed);
    } catch (error) {
      if (!(error instanceof DeviceLostError) || interrupt.signal.aborted) throw error;
      console.error(`\nmla-lp: ${error.fact} A fresh one goes on after step ${saved}.`);
      await trainer?.destroy();
      trainer = undefined;
      await log?.close();
      await session.reopen();
      return await attempt(savedHere ? await openSaved(state) : resumed);
    }
  } catch (error) {
    if (error instanceof DeviceLostError) console.error(`mla-lp: ${hint()}`);
    await trainer?.destroy();
    throw error;
  } finally {
    interrupt.release();
    await log?.close();
    await lock.release();
  }
}

/** Where a model's memory bank lies. */
export function bankPath(out: string): string {
  return `${out.replace(/\.safetensors$/i, '')}.bank.safetensors`;
}

async function saveBank(trainer: Trainer, path: string, quiet: boolean): Promise<void> {
  const { metadata } = await trainer.state('model');
  const tensors = trainer.bankTensors;
  const total = tensors.reduce((sum, { shape }) => sum + shape[0] * shape[1] * 4, 0);
  const bar = progressBar({ label: 'memory bank', total, unit: 'bytes', quiet });
  let done = 0;
  const counted = async function* () {
    for await (const rows of trainer.memoryBank()) {
      yield rows;
      done += rows.byteLength;
      bar.update(done);
    }
  };
  await writeFileAtomic(path, memoryBankChunks(tensors, counted(), metadata));
  bar.finish();
}

async function ensureWritableFile(path: string): Promise<void> {
  const there = await stat(path).catch(() => undefined);
  if (there && !there.isFile())
    throw new OptionError(`${path}: this is no file.`, 'Give the name of a file.');
  await ensureWritableFolder(dirname(resolve(path)));
}

async function loop(
  trainer: Trainer,
  { out, keepEpochs = false, quiet, saveSeconds }: TrainingRunOptions,
  { log, save, signal }: { log: JsonLog | undefined; save: () => Promise<void>; signal: AbortSignal },
): Promise<void> {
  const bar = progressBar({
    label: 'train',
    total: trainer.totalSteps,
    unit: 'steps',
    initial: trainer.step,
    quiet,
  });
  bar.update(trainer.step);
  let savedAt = performance.now();
  const speed = meanSpeed();
  try {
    for await (const record of trainer.run({ signal })) {
      await log?.append(record);
      bar.update(record.step, trainer.totalSteps, describe(record, speed(record.images)));
      // Before the state is saved: a run that is killed between the two writes the same model once more.
      if (keepEpochs && record.step % trainer.stepsPerEpoch === 0)
        await writeFileAtomic(epochPath(out, record.epoch), modelChunks(await trainer.state('model')));
      if (performance.now() - savedAt > saveSeconds * 1000) {
        await save();
        savedAt = performance.now();
      }
    }
  } finally {
    bar.finish();
  }
}

/** Images a second over the last steps. */
function meanSpeed(): (images: number) => number {
  const window: { images: number; at: number }[] = [{ images: 0, at: performance.now() }];
  return (images) => {
    window.push({ images, at: performance.now() });
    if (window.length > 20) window.shift();
    const total = window.slice(1).reduce((sum, w) => sum + w.images, 0);
    return (total / (window.at(-1)!.at - window[0]!.at)) * 1000;
  };
}

function describe({ epoch, loss, det, seg }: StepRecord, imagesPerSecond: number): string {
  const parts = seg > 0 ? ` (det ${det.toFixed(3)}, seg ${seg.toFixed(3)})` : '';
  return `epoch ${epoch}  loss ${loss.toFixed(4)}${parts}  ${imagesPerSecond.toPrecision(3)} images/s`;
}

async function readSaved(path: string): Promise<TrainingState> {
  const source = await openWeights(await fileBytes(path));
  try {
    return await readTrainingState(source);
  } finally {
    await source.close();
  }
}

async function openSaved(path: string): Promise<Opened<TrainingState>> {
  const opened = await openNewest(path, readSaved);
  if (opened.refused) console.error(`mla-lp: ${opened.refused.message} The state before it is used.`);
  return opened;
}
