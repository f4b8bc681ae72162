/** Evaluations on disk: raw results that a killed run goes on with, and what is written once all images are scored. */
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import type { Dataset } from '../data/datasets';
import { finishEvaluation } from '../evaluation/finish';
import { FileResults, resultsPath } from '../evaluation/node/file-results';
import { type RawResults, shardIndices } from '../evaluation/raw-results';
import type { EvaluationRecord, Protocol, Selection } from '../evaluation/record';
import { ensureWritableFolder } from '../io/node/write-file';
import { type DetectionModel, type EvaluationImage, rawHeader, scoreImages } from '../library/node';
import { AbortedError } from '../runtime/errors';
import { listenForInterrupt } from './interrupt';
import { progressBar } from './progress';

export interface Shard {
  /** Counted from 1. */
  readonly index: number;
  readonly of: number;
}

export interface ScoringRun {
  readonly model: DetectionModel;
  readonly dataset: Dataset;
  /** What images are named relative to. */
  readonly root: string;
  readonly protocol: Protocol;
  readonly selection: Selection;
  readonly configuration: Readonly<Record<string, string | number | boolean>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly command: string;
  readonly out: string;
  readonly shard: Shard;
  /** Tells apart several evaluations in one folder. */
  readonly label?: string;
  readonly keepGoing: boolean;
  readonly quiet: boolean;
}

/** How long an interrupted run waits for the batch under way, ms. */
const GRACE_MS = 8000;

/**
 * Scores the shard's images into files in `out`; what an earlier run of the same evaluation left there is not scored again.
 * @returns the results, open. @throws AbortedError after Ctrl-C, when everything that was found is in the files.
 */
export async function scoreToFiles(run: ScoringRun): Promise<FileResults> {
  const { model, dataset, out, shard, quiet } = run;
  await ensureWritableFolder(out);
  const images = evaluationImages(dataset, run.root);
  const header = await rawHeader(model, images, { ...run, dataset: dataset.name });
  const path = resultsPath(out, shard.index, shard.of, run.label);
  const results = await FileResults.write(path, { header, versions: run.versions, command: run.command });
  const bar = progressBar({
    label: run.label ? `eval ${run.label}` : 'eval',
    total: images.length,
    unit: 'images',
    initial: results.outcomes.length,
    quiet,
  });
  const interrupt = listenForInterrupt(() => {
    if (!quiet) console.error('\nStopping after this batch; once more to stop at once.');
  }, GRACE_MS);
  try {
    await scoreImages(model, images, results, {
      indices: shardIndices(images.length, shard.index, shard.of),
      keepGoing: run.keepGoing,
      signal: interrupt.signal,
      onProgress(done, total, outcome) {
        bar.update(done, total);
        if (outcome && 'error' in outcome) console.error(`mla-lp: ${outcome.error}`);
      },
    });
    return results;
  } catch (error) {
    await results.close();
    if (error instanceof AbortedError)
      console.error(`Stopped after ${results.outcomes.length} images. The same command goes on from there.`);
    throw error;
  } finally {
    bar.finish();
    interrupt.release();
  }
}

/** Images of a data set under names that are the same on every machine. @param root its folder or CSV. */
export function evaluationImages(dataset: Dataset, root: string): EvaluationImage[] {
  const folder = resolve(/\.csv$/i.test(root) ? dirname(root) : root);
  const name = (path: string) => {
    const inside = relative(folder, resolve(path));
    return (isAbsolute(inside) ? path : inside).replaceAll('\\', '/');
  };
  return dataset.images.map(({ path, abnormal, mask }) => ({
    image: path,
    name: name(path),
    abnormal,
    ...(mask !== undefined && { mask }),
  }));
}

/** Where the image of a name lies. @param root as for `evaluationImages`. */
export function pathsByName(dataset: Dataset, root: string): (name: string) => string | undefined {
  const paths = new Map(
    evaluationImages(dataset, root).map(({ name }, i) => [name, dataset.images[i]!.path] as const),
  );
  return (name) => paths.get(name);
}

export interface FinishRun {
  readonly resamples: number;
  readonly seed: number;
  readonly quiet: boolean;
}

/** Metrics of results, with a progress line. */
export async function finishResults(raw: RawResults, run: FinishRun): Promise<EvaluationRecord> {
  const bar = progressBar({ label: 'metrics', total: 100, unit: '%', quiet: run.quiet });
  const record = await finishEvaluation(raw, {
    ...run,
    onFinishing: (share) => bar.update(Math.round(100 * share)),
  });
  bar.finish();
  return record;
}

/** Where an evaluation's results lie in its folder. */
export function recordPath(out: string): string {
  return join(out, 'results.json');
}
