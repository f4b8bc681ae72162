import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { positiveInteger } from '../../src/cli/options';
import { BadFileError, MlaLpError } from '../../src/runtime/errors';
import type { BenchCommand } from '../command';
import { formatGoal, type GoalChoice, goalsOf, USUAL_CHOICE } from '../goals';
import { type ReadRecord, readRecord } from '../read-record';

export const goalsCommand: BenchCommand = {
  name: 'goals',
  text: "the project's goals, wanted and got, from a folder of records; needs no device",
  declare: (command) =>
    command
      .argument('<folder>', 'with the records of one device, *.json')
      .option('--shape <MxKxN>', 'the GEMM that stands for all', USUAL_CHOICE.shape)
      .option('--batch <n>', 'images of a run that fills the device', positiveInteger, USUAL_CHOICE.batch),
  async run(choice: GoalChoice, [folder]) {
    for (const goal of goalsOf(await recordsIn(folder!), choice)) console.log(formatGoal(goal));
  },
};

/** In the order of their names; what is no record is named on stderr. */
async function recordsIn(folder: string): Promise<ReadRecord[]> {
  const names = await readdir(folder).catch((cause: Error) => {
    const fact = `The folder ${folder} cannot be read: ${cause.message}.`;
    throw new MlaLpError('bad-file', fact, 'Give the folder of bench/gpu-day.sh.', { cause });
  });
  const records: ReadRecord[] = [];
  for (const name of names.filter((one) => one.endsWith('.json')).sort()) {
    try {
      records.push(await readRecord(join(folder, name)));
    } catch (error) {
      if (!(error instanceof BadFileError)) throw error;
      console.error(error.message);
    }
  }
  return records;
}
