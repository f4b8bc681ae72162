/** `bench roofline RECORD`: any record's rows below its ceilings, as one HTML file. */
import { basename } from 'node:path';
import { OptionError } from '../../src/runtime/errors';
import type { BenchCommand } from '../command';
import { rooflinePage } from '../laboratory/page';
import { hasPlace, roofsOf } from '../laboratory/roofline';
import { recordView } from '../laboratory/view';
import { assertWritable, writeText } from '../measuring';
import { readRecord } from '../read-record';

interface Flags {
  readonly html: string;
  readonly suite?: string;
}

export const rooflineCommand: BenchCommand = {
  name: 'roofline',
  text: 'draws the rows of a record below its ceilings',
  declare: (command) =>
    command
      .argument('<record>', 'a file that --json wrote')
      .requiredOption('--html <file>', 'where the page goes')
      .option('--suite <name>', 'rows of one suite only, gemm for instance'),
  async run({ html, suite }: Flags, [file]: readonly string[]) {
    const record = await readRecord(file!);
    const { device, ceilings } = record;
    if (roofsOf(ceilings).length === 0 || !(ceilings.copyGbps! > 0)) {
      throw new OptionError(`${file} says nothing of the device's ceilings.`, 'Records of this bench do.');
    }
    await assertWritable(html, '--html');
    const of = <T extends { readonly suite: string }>(list: readonly T[]) =>
      list.filter((one) => suite === undefined || one.suite === suite);
    const rows = of(record.rows);
    if (!rows.some(hasPlace)) {
      const suites = [...new Set(record.rows.map((row) => row.suite))].join(', ');
      throw new OptionError(
        `${file} has no row to plot${suite ? ` of ${suite}` : ''}.`,
        `Its suites: ${suites || 'none'}.`,
      );
    }
    const shown = { ...record, rows, failed: of(record.failed) };
    const title = `Roofline: ${suite ?? basename(file!, '.json')} on ${device.name ?? 'an unknown device'}`;
    await writeText(html, await rooflinePage(title, record, recordView(shown)));
  },
};
