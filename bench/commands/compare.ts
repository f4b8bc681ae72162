import { InvalidArgumentError } from 'commander';
import type { BenchCommand } from '../command';
import { compareRecords, formatComparison, regressions } from '../compare';
import { assertWritable, writeJson } from '../measuring';
import { readRecord } from '../read-record';

interface Flags {
  readonly json?: string;
  readonly failAbove?: number;
}

function factor(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 1 && value < Infinity))
    throw new InvalidArgumentError('It must be a ratio of at least 1.');
  return value;
}

export const compareCommand: BenchCommand = {
  name: 'compare',
  text: 'what got faster or slower from one record to another; needs no device',
  declare: (command) =>
    void command
      .argument('<before>', 'a file that --json wrote')
      .argument('<after>', 'another')
      .option('--fail-above <ratio>', 'exit code 1 when a row is slower than this, beyond noise', factor)
      .option('--json <file>', 'also write the comparison as JSON'),
  async run({ json, failAbove }: Flags, [before, after]) {
    if (json) await assertWritable(json);
    const comparison = compareRecords(await readRecord(before!), await readRecord(after!));
    console.log(formatComparison(comparison));
    if (json) await writeJson(json, comparison);
    if (failAbove === undefined) return;
    const slower = regressions(comparison, failAbove);
    if (slower.length > 0) {
      console.log(`\n${slower.length} slower than ${failAbove} times.`);
      process.exitCode = 1;
    }
    if (comparison.changes.length === 0) {
      console.log('\nNothing to compare.');
      process.exitCode = 1;
    }
  },
};
