import type { Command } from 'commander';
import { openDataset } from '../../data/node/datasets';
import { summaryOf } from '../../evaluation/summary';
import { ensureWritableFolder } from '../../io/node/write-file';
import { parseCalibrationRule } from '../../metrics';
import { OptionError } from '../../runtime/errors';
import { evaluateDataset } from '../evaluate-dataset';
import { addEvalOptions, type EvalFlags } from '../evaluation-flags';
import { openSession } from '../session';
import { commandLine } from '../shell';
import { requireWeights } from '../training-flags';
import { describeDataset } from './train';

export function registerEval(program: Command): void {
  const command = program
    .command('eval')
    .description('evaluate a model on labelled images: AUROC and other metrics with intervals, and a report')
    .argument('<dataset>', 'a <Name>_AD folder, a folder with normal/ and abnormal/ (and masks/), or a CSV');
  addEvalOptions(command).action(evaluateFolder);
}

async function evaluateFolder(path: string, flags: EvalFlags): Promise<void> {
  const quiet = flags.quiet === true;
  checkFlags(flags);
  const dataset = await openDataset(path, { split: flags.split });
  await ensureWritableFolder(flags.out);
  if (!quiet) console.error(describeDataset(dataset));
  for (const warning of dataset.warnings) console.error(`mla-lp: ${warning}`);
  const session = await openSession({ ...flags, weights: requireWeights(flags.weights), quiet });
  try {
    const record = await evaluateDataset(session, { path, dataset, flags, command: commandLine() });
    if (record && flags.json) console.log(JSON.stringify(summaryOf(record)));
    if (quiet) return;
    console.error(
      record
        ? `Report: ${flags.out}/report.html`
        : `Shard ${flags.shard.index} of ${flags.shard.of} is done. Once all are: mla-lp merge ${flags.out} --out DIR`,
    );
  } finally {
    await session.close();
  }
}

/** @throws OptionError for what cannot go together, before anything is opened. */
function checkFlags(flags: EvalFlags): void {
  const { method, model, select, shard, calibrate, object, prompts } = flags;
  if (model === undefined) {
    for (const [flag, given] of [
      [`--method ${method}`, method === 'mla-lp' || method === 'april-gan'],
      ['--select best-on-test', select === 'best-on-test'],
      ['--calibrate', calibrate !== undefined],
    ] as const)
      if (given)
        throw new OptionError(`${flag} needs --model: trained adapters.`, 'Train some with `mla-lp train`.');
  } else if (method === 'clip' || method === 'winclip') {
    throw new OptionError(`Method ${method} takes no --model: nothing is trained.`, 'Leave one of them out.');
  }
  if (shard.of > 1 && (select === 'best-on-test' || calibrate !== undefined)) {
    throw new OptionError(
      'A shard alone can neither choose an epoch nor calibrate a threshold.',
      'Evaluate each epoch as shards and merge them, or leave --shard out.',
    );
  }
  if (object !== undefined && prompts !== undefined)
    throw new OptionError('--object and --prompts exclude each other.', 'Give one of them.');
  checkBankFlags(flags);
  if (typeof calibrate === 'string') parseCalibrationRule(calibrate);
}

/** @throws OptionError for flags that would do nothing. */
function checkBankFlags({ bank, bankFile, bankFrom, shots, shotList, draw, augment }: EvalFlags): void {
  const images = [
    ['--bank-from', bankFrom !== undefined],
    ['--shots', shots !== undefined],
    ['--shot-list', shotList !== undefined],
    ['--draw', draw !== undefined],
    ['--no-augment', !augment],
  ] as const;
  const given = [...images, ['--bank-file', bankFile !== undefined] as const].find(([, there]) => there);
  if (bank === 'off' && given)
    throw new OptionError(
      `${given[0]} says what is in a memory bank, and there is none.`,
      'Give --bank on too.',
    );
  const other = images.find(([, there]) => there);
  if (bankFile !== undefined && other)
    throw new OptionError(`--bank-file and ${other[0]} exclude each other.`, 'Leave one of them out.');
  if (draw !== undefined && shotList === undefined)
    throw new OptionError('--draw is of a --shot-list, and none is given.', 'Give one, or leave it out.');
}
