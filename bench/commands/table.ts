import { readdir, readFile } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { writeFileAtomic } from '../../src/io/node/write-file';
import { MlaLpError } from '../../src/runtime/errors';
import type { BenchCommand } from '../command';
import { readRecord } from '../read-record';
import { BEGIN, END, replaceTable, resultsTable } from '../results-table';

/** What the README of a checkout says, and what its records give. */
export async function readmeTable(root: string): Promise<{ readonly now: string; readonly wanted: string }> {
  const folder = join(root, 'bench', 'results');
  const files = (await readdir(folder)).filter((name) => name.endsWith('.json'));
  // A device's own record before its further ones: llvmpipe, llvmpipe-tower.
  const names = files.sort((a, b) => (parse(a).name < parse(b).name ? -1 : 1));
  const records = await Promise.all(names.map((name) => readRecord(join(folder, name))));
  const now = await readFile(join(root, 'README.md'), 'utf8');
  const wanted = replaceTable(now, resultsTable(records));
  if (wanted === undefined)
    throw new MlaLpError(
      'bad-file',
      'README.md has no place for the table.',
      `Put ${BEGIN} and ${END} into it.`,
    );
  return { now, wanted };
}

export const tableCommand: BenchCommand = {
  name: 'table',
  text: "writes the README's table from bench/results/*.json; needs no device",
  declare: (command) => void command.option('--check', 'write nothing; exit code 1 when it is out of date'),
  async run({ check }: { readonly check?: boolean }) {
    const { now, wanted } = await readmeTable('.');
    if (now === wanted) return console.log("README.md's table is what the records give.");
    if (check) {
      console.log("README.md's table is not what the records give: npm run bench -- table");
      process.exitCode = 1;
      return;
    }
    await writeFileAtomic('README.md', [new TextEncoder().encode(wanted)]);
    console.log('Written: README.md');
  },
};
