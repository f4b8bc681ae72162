import { type Command, InvalidArgumentError, Option } from 'commander';
import { listenForInterrupt } from '../../src/cli/interrupt';
import { positiveInteger } from '../../src/cli/options';
import { readTunedRows, thisDevice, tunedPath, writeTunedRows } from '../../src/io/node/tuned-files';
import type { TunedRow } from '../../src/io/tuned-table';
import { suites } from '../../src/kernels/suites';
import type { Gpu, Precision } from '../../src/runtime/device';
import { OptionError } from '../../src/runtime/errors';
import type { BenchCommand } from '../command';
import { assertWritable, openGpu } from '../measuring';
import { modelOption, precisionOption, seconds } from '../options';
import { Session } from '../session';
import { formatTable } from '../table';
import type { TuneClock } from '../tune/device-workshop';
import { imageSituation, trainingSituations } from '../tune/situation';
import { tune } from '../tune/tune';

interface Flags {
  readonly model?: string;
  readonly imageSize: number;
  readonly batch: readonly number[];
  readonly precision?: Precision;
  readonly train?: boolean;
  readonly layers?: number;
  readonly budget: number;
  readonly margin: number;
  readonly clock?: TuneClock;
  readonly dryRun?: boolean;
  readonly to?: string;
  readonly show?: boolean;
  readonly reset?: boolean;
  readonly quiet?: boolean;
}

/** What is under way after Ctrl-C: a comparison of the whole graph, some runs of it. */
const GRACE_MS = 300_000;

function batches(text: string): number[] {
  return text.split(',').map((part) => positiveInteger(part.trim()));
}

function percent(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 50))
    throw new InvalidArgumentError('It must be a number of per cent, at most 50.');
  return value / 100;
}

export const tuneCommand: BenchCommand = {
  name: 'tune',
  text: 'finds the fastest kernels for this device and keeps them for all later runs',
  declare: (command: Command) =>
    command
      .addOption(modelOption())
      .addOption(precisionOption())
      .option('--image-size <px>', 'side of the image', positiveInteger, 240)
      .option('--batch <n,...>', 'images at once; each number is tuned for itself', batches, [1])
      .option('--train', 'a training step instead of an image')
      .option(
        '--layers <n>',
        'blocks of the image tower to run (4 on a software adapter, all on a GPU)',
        positiveInteger,
      )
      .option('--budget <seconds>', 'time for all of it', seconds, 180)
      .option('--margin <percent>', "least gain that counts, of a kernel's own time", percent, 0.03)
      .addOption(
        new Option(
          '--clock <which>',
          "timestamp: each kernel by the device's clock (where it has one, unless told); wall: the whole graph; cpu: the same by this process's CPU time, for a software adapter on a busy machine",
        ).choices(['timestamp', 'wall', 'cpu']),
      )
      .option('--dry-run', 'write nothing')
      .option(
        '--to <file>',
        'write the table there: for MLA_LP_TUNED, a browser, another machine of this kind',
      )
      .option('--show', 'print the table that is there, and nothing else')
      .option('--reset', 'remove the table that is there, and nothing else')
      .option('--quiet', 'no progress on stderr'),
  async run(flags: Flags) {
    if (flags.to) await assertWritable(flags.to);
    const gpu = await openGpu();
    if (flags.show || flags.reset) return keep(gpu, flags);
    const { software } = gpu.caps;
    if (flags.clock === 'cpu' && !software)
      throw new OptionError(`--clock cpu: ${gpu.name} does not compute on the CPU.`, 'Leave it out.');
    const precision = flags.precision ?? 'f32';
    gpu.requirePrecision(precision);
    const model = flags.model ?? (software ? (flags.train ? 'tiny' : 'vitb32') : 'vitl14');
    const layers = flags.layers ?? (software ? 4 : undefined);
    const groups = flags.batch.map((batch) => async () => {
      const choice = { model, imageSize: flags.imageSize, batch, precision, ...(layers && { layers }) };
      return flags.train ? trainingSituations(gpu, choice) : [await imageSituation(gpu, choice)];
    });
    const interrupt = listenForInterrupt(
      () =>
        console.error(
          'Stopping: what is settled is compared as a whole and kept. Again: at once, nothing more is kept.',
        ),
      GRACE_MS,
    );
    const session = new Session(gpu, { budget: flags.budget, ...(flags.quiet && { quiet: true }) });
    try {
      await tune(session, groups, {
        budget: flags.budget,
        margin: flags.margin,
        ...(flags.clock && { clock: flags.clock }),
        ...(flags.dryRun && { dryRun: true }),
        ...(flags.to && { to: flags.to }),
        suites,
        signal: interrupt.signal,
        print: (line) => console.log(line),
      });
    } finally {
      interrupt.release();
    }
  },
};

async function keep(gpu: Gpu, flags: Flags): Promise<void> {
  const device = thisDevice(gpu.info, gpu.caps.software);
  const path = flags.to ?? tunedPath(device);
  if (flags.reset) {
    if (!flags.dryRun) await writeTunedRows(path, device, []);
    console.log(`${flags.dryRun ? 'Would be removed' : 'Removed'}: ${path}`);
    return;
  }
  const rows = await readTunedRows(path, device);
  console.log(
    rows.length > 0 ? `${path}\n\n${formatRows(rows)}` : `There is no table for this device (${path}).`,
  );
  const { tuning } = gpu;
  console.log(
    tuning?.table.size
      ? `In use: ${tuning.table.size} calls, ${tuning.source}.`
      : "In use: none; every kernel is the engine's own choice.",
  );
}

function formatRows(rows: readonly TunedRow[]): string {
  return `${formatTable(
    ['call', 'variant', 'instead of', 'where', 'date', 'time'],
    rows.map(({ call, variant, instead, where, date, ratio }) => [
      call,
      variant,
      instead,
      where,
      date,
      ratio.toFixed(3),
    ]),
    5,
  )}\n`;
}
