/** One data set evaluated as the flags say, from images to a folder of results. What `eval` and `reproduce` share. */
import type { Dataset } from '../data/datasets';
import type { FileResults } from '../evaluation/node/file-results';
import type { EvaluationRecord } from '../evaluation/record';
import { describeRecord } from '../evaluation/summary';
import { type ChosenBank, chooseBank } from './bank';
import { checkCalibratable, saveCalibration } from './calibration';
import { ownEpochModels } from './epoch-models';
import type { EvalFlags } from './evaluation-flags';
import { openEvaluatedModel, versionsOf } from './evaluation-model';
import { writeEvaluation } from './evaluation-output';
import { finishResults, pathsByName, scoreToFiles } from './evaluation-run';
import type { Session } from './session';
import { trainedOn } from './trained-on';

export interface EvaluationJob {
  /** Folder or CSV of the data set. */
  readonly path: string;
  readonly dataset: Dataset;
  readonly flags: EvalFlags;
  /** How the same would be done on a command line. */
  readonly command: string;
}

interface Candidate {
  readonly file: string | undefined;
  readonly results: FileResults;
  readonly record: EvaluationRecord;
}

/**
 * Scores, applies the protocol, writes the results into `flags.out`. Raw results of a whole evaluation are removed then.
 * @returns the record; undefined for a shard, whose raw results stay for `merge`.
 */
export async function evaluateDataset(
  session: Session,
  job: EvaluationJob,
): Promise<EvaluationRecord | undefined> {
  const { flags } = job;
  const quiet = flags.quiet === true;
  const best = flags.select === 'best-on-test';
  const models = best ? await ownEpochModels(flags.model!) : [flags.model];
  if (flags.calibrate !== undefined) for (const file of models) await checkCalibratable(file!, flags);
  const candidates: Candidate[] = [];
  const opened: FileResults[] = [];
  try {
    for (const [i, file] of models.entries()) {
      const results = await scoreModel(session, job, file, best ? `epoch-${i + 1}` : '');
      if (flags.shard.of > 1) {
        await results.close();
        return undefined;
      }
      opened.push(results);
      candidates.push({ file, results, record: await finishResults(results, intervals(flags)) });
    }
    const chosen = candidates.reduce((a, b) => (merit(b.record) > merit(a.record) ? b : a));
    await writeEvaluation({
      record: chosen.record,
      raw: chosen.results,
      pathOf: pathsByName(job.dataset, job.path),
      out: flags.out,
      pictures: flags.pictures,
    });
    if (flags.calibrate !== undefined)
      await saveCalibration(chosen.file!, chosen.record, chosen.results, flags.calibrate);
    if (!quiet) console.error(describeRecord(chosen.record));
    for (const results of opened) await results.remove();
    return chosen.record;
  } catch (error) {
    for (const results of opened) await results.close();
    throw error;
  }
}

/** How intervals are drawn, of the flags that say so. */
export function intervals({ resamples, seed = 0, quiet }: Pick<EvalFlags, 'resamples' | 'seed' | 'quiet'>): {
  resamples: number;
  seed: number;
  quiet: boolean;
} {
  return { resamples, seed, quiet: quiet === true };
}

/** What the authors' code compares epochs by: image AUROC, with masks plus pixel AUROC. */
function merit({ image, pixel }: EvaluationRecord): number {
  return image.auroc.value + (pixel?.auroc.value ?? 0);
}

async function scoreModel(
  session: Session,
  { path, dataset, flags, command }: EvaluationJob,
  file: string | undefined,
  label: string,
): Promise<FileResults> {
  const quiet = flags.quiet === true;
  let bank: ChosenBank | undefined;
  if (flags.bank === 'on') {
    const trained = await trainedOn(file);
    const plain = ['winclip', 'april-gan'].includes(flags.method ?? trained.method ?? '');
    bank = await chooseBank(flags, { tested: dataset, path, model: file, trained, plain });
    if (!quiet) console.error(`Memory bank: ${bank.description}.`);
  }
  // A threshold is for the sentences that detect uses: those that the model was trained with.
  const named = flags.calibrate === undefined ? dataset.name : undefined;
  const { model, configuration } = await openEvaluatedModel(session, flags, file, named, bank);
  try {
    return await scoreToFiles({
      model,
      dataset,
      root: path,
      protocol: bank ? 'few-shot' : 'zero-shot',
      selection: label ? 'best-on-test' : 'last-epoch',
      configuration: { ...configuration, split: flags.split },
      versions: versionsOf(session),
      command,
      out: flags.out,
      shard: flags.shard,
      label,
      keepGoing: flags.keepGoing === true,
      quiet,
    });
  } finally {
    await model.destroy();
  }
}
