import type { Command } from 'commander';
import { openDataset, type Split } from '../../data/node/datasets';
import { mergeResults } from '../../evaluation/merge';
import { FileResults, listResults } from '../../evaluation/node/file-results';
import { describeRecord, summaryOf } from '../../evaluation/summary';
import { ensureWritableFolder } from '../../io/node/write-file';
import { intervals } from '../evaluate-dataset';
import { DEFAULT_EVAL_OUT, picturesOption, splitOption } from '../evaluation-flags';
import { writeEvaluation } from '../evaluation-output';
import { finishResults, pathsByName } from '../evaluation-run';
import { wholeNumber } from '../options';
import { commandLine } from '../shell';

interface MergeFlags {
  out: string;
  data?: string;
  split: Split;
  pictures: number;
  resamples: number;
  seed: number;
  json?: boolean;
  quiet?: boolean;
}

export function registerMerge(program: Command): void {
  program
    .command('merge')
    .description(
      'join the shards of one evaluation (eval --shard): the same results as one run over all images',
    )
    .argument('<folders...>', 'folders that eval --shard wrote')
    .option(
      '--out <dir>',
      'folder for results.json, report.html, images.csv and images.jsonl',
      DEFAULT_EVAL_OUT,
    )
    .option('--data <dataset>', 'the data set: its images are shown in the report then')
    .addOption(splitOption())
    .addOption(picturesOption())
    .option('--resamples <n>', 'bootstrap resamples of the intervals (0: none)', wholeNumber, 1000)
    .option('--seed <n>', 'of the intervals', wholeNumber, 0)
    .option('--json', 'one JSON object on standard output')
    .option('--quiet', 'no progress')
    .action(merge);
}

async function merge(folders: string[], flags: MergeFlags): Promise<void> {
  const paths: string[] = [];
  for (const folder of folders) paths.push(...(await listResults(folder)));
  const dataset =
    flags.data === undefined ? undefined : await openDataset(flags.data, { split: flags.split });
  await ensureWritableFolder(flags.out);
  const parts: FileResults[] = [];
  try {
    for (const path of new Set(paths)) parts.push(await FileResults.read(path));
    const merged = mergeResults(parts);
    const all = { ...merged, commands: [...merged.commands, commandLine()] };
    const record = await finishResults(all, intervals(flags));
    await writeEvaluation({
      record,
      raw: all,
      pathOf: dataset ? pathsByName(dataset, flags.data!) : () => undefined,
      out: flags.out,
      pictures: flags.pictures,
    });
    if (flags.json) console.log(JSON.stringify(summaryOf(record)));
    if (!flags.quiet) console.error(`${describeRecord(record)}\nReport: ${flags.out}/report.html`);
  } finally {
    for (const part of parts) await part.close();
  }
}
