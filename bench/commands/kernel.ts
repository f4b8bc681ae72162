/** `bench kernel OP`: the laboratory on the command line. */
import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { AbortedError, BadFileError, OptionError } from '../../src/runtime/errors';
import { measureCeilings } from '../ceiling/ceiling';
import type { BenchCommand } from '../command';
import { type LaboratoryRecord, runLaboratory } from '../laboratory/laboratory';
import type { OwnSource } from '../laboratory/own-kernel';
import type { OwnReport } from '../laboratory/own-table';
import { rooflinePage } from '../laboratory/page';
import { allChoices, caseOf, suiteNamed } from '../laboratory/request';
import { laboratoryView } from '../laboratory/view';
import { runOnSave } from '../laboratory/watch';
import { formatLaboratory, ownInWords } from '../laboratory/words';
import { assertWritable, type MeasuringFlags, openGpu, recordOf, writeJson, writeText } from '../measuring';
import { measuringOptions, seconds } from '../options';
import { Session } from '../session';

interface Flags extends Omit<MeasuringFlags, 'precision'> {
  readonly shape?: string;
  readonly case?: string;
  readonly dtype?: 'f32' | 'f16';
  readonly variants: string;
  readonly wgsl?: string;
  readonly grid?: string;
  readonly limit: number;
  readonly watch?: boolean;
  readonly html?: string;
}

/** Larger files are no kernels. */
const MOST_BYTES = 1_000_000;

function declare(command: Command): void {
  command
    .argument('<op>', 'gemm, attention, layer_norm, ...')
    .option('--shape <sizes>', 'sizes with x between; gemm: MxKxN')
    .option('--case <name>', "a case of the op's table instead of a shape")
    .addOption(new Option('--dtype <type>', 'storage type').choices(['f32', 'f16']))
    .option('--variants <which>', 'all, chosen, or names with commas between', 'all')
    .option('--wgsl <file>', 'also a kernel of your own')
    .option('--grid <x,y,z>', 'its workgroups, instead of its "// grid:" line')
    .option('--limit <seconds>', 'longest wait for your kernel', seconds, 60)
    .option('--watch', 'again whenever the file of --wgsl is saved')
    .option('--html <file>', 'also draw a roofline plot');
  measuringOptions(command);
  for (const [name, { values, ops }] of allChoices()) {
    const text = `with --shape; ${ops.join(', ')}`;
    if (values === 'flag') command.option(`--${name}`, text);
    else command.addOption(new Option(`--${name} <which>`, text).choices(values));
  }
}

async function run(flags: Flags, [name]: readonly string[]): Promise<void> {
  const suite = suiteNamed(name!);
  const given = flags as unknown as Record<string, string | boolean | undefined>;
  const choices = Object.fromEntries(
    [...allChoices().keys()].flatMap((key) => (given[key] === undefined ? [] : [[key, given[key]]])),
  );
  const one = caseOf(suite, { ...flags, choices });
  const own = flags.wgsl === undefined ? undefined : await readOwn(flags.wgsl, flags.grid);
  if (flags.json) await assertWritable(flags.json);
  if (flags.html) await assertWritable(flags.html, '--html');
  if (flags.watch) return watchOwn(flags.wgsl);

  const gpu = await openGpu();
  const session = new Session(gpu, {
    budget: flags.budget ?? (gpu.caps.software ? 0.5 : 1),
    ...(flags.quiet && { quiet: true }),
  });
  const date = new Date().toISOString();
  const variants = ['all', 'chosen'].includes(flags.variants)
    ? (flags.variants as 'all' | 'chosen')
    : flags.variants.split(',');
  const request = {
    suite,
    case: one,
    variants,
    limitMs: 1000 * flags.limit,
    ...(own && { own }),
    // Who is at work on it need not wait for the others' times.
    onOwn: (report: OwnReport) => {
      if (report.wrong.length > 0) console.error(ownInWords(report).join('\n  '));
    },
  };
  const result = await runLaboratory(session, request, () => measureCeilings(session, false));
  const record: LaboratoryRecord = { ...(await recordOf(session, result.ceilings, date)), ...result };
  console.log(formatLaboratory(record));
  if (flags.json) await writeJson(flags.json, record);
  if (flags.html) {
    const title = `${record.op}, ${record.case}, on ${record.device.name}`;
    await writeText(flags.html, await rooflinePage(title, record, laboratoryView(record)));
  }
  if (record.failed.length > 0) process.exitCode = 1;
}

/** The same command without --watch, again and again; until Ctrl-C. */
function watchOwn(file: string | undefined): Promise<never> {
  if (file === undefined) throw new OptionError('--watch watches the file of --wgsl.', 'Give one.');
  const again = process.argv.slice(1).filter((word) => word !== '--watch');
  const watching = runOnSave(file, [process.execPath, ...again]);
  return new Promise((_, reject) => {
    process.once('SIGINT', () => {
      watching.close();
      reject(new AbortedError('The watch has ended.'));
    });
  });
}

async function readOwn(file: string, grid: string | undefined): Promise<OwnSource> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new BadFileError(file, 'it cannot be read', 'Is the name right?', undefined, { cause });
  });
  if (bytes.length > MOST_BYTES)
    throw new BadFileError(file, `it has ${bytes.length} bytes`, 'A kernel is smaller than 1 MB.');
  return { file, wgsl: bytes.toString('utf8'), ...(grid !== undefined && { grid }) };
}

export const kernelCommand: BenchCommand = {
  name: 'kernel',
  text: 'the laboratory: variants of a kernel, or one of your own, on one shape',
  declare,
  run,
};
