/** `npm run bench`: text on stdout, progress on stderr, JSON where --json says. Exit code 1 when a kernel was wrong. */
import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CommanderError } from 'commander';
import { writeFileAtomic } from '../src/io/node/write-file';
import { acquireAdapter } from '../src/platform/node/adapter';
import { Gpu } from '../src/runtime/device';
import { MlaLpError, OptionError } from '../src/runtime/errors';
import { parseArguments } from './options';
import { runBench } from './run';
import { formatRecord } from './table';

async function main(): Promise<void> {
  const options = parseArguments(process.argv.slice(2));
  if (options.json) await assertWritable(options.json);
  const gpu = await Gpu.open(await acquireAdapter());
  console.error(`${gpu.name}: ${gpu.choice.reason}`);
  const record = await runBench(gpu, options);
  console.log(formatRecord(record));
  if (options.json) {
    const text = `${JSON.stringify(record, null, 2)}\n`;
    await writeFileAtomic(options.json, [new TextEncoder().encode(text)]);
    console.error(`Written: ${options.json}`);
  }
  if (record.failed.length > 0) process.exitCode = 1;
}

/** Asked first: minutes of measuring should not end in a folder that does not exist. */
async function assertWritable(path: string): Promise<void> {
  const folder = dirname(path);
  await access(folder, constants.W_OK).catch(() => {
    throw new OptionError(`--json ${path}: the folder ${folder} cannot be written.`, 'Create it first.');
  });
}

try {
  await main();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else if (error instanceof MlaLpError) {
    console.error(`bench: ${error.message}`);
    process.exitCode = error.code === 'bad-option' ? 2 : 1;
  } else {
    console.error(error);
    process.exitCode = 70;
  }
}
// Dawn's threads would keep the process alive.
process.exit();
