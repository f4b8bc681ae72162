/** What all commands that time something on the device have in common: options, device, ceilings, table, JSON. */
import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { loadTuning } from '../src/io/node/tuned-files';
import { writeFileAtomic } from '../src/io/node/write-file';
import { checkMatrixUnits } from '../src/kernels/matrix-check';
import { acquireAdapter } from '../src/platform/node/adapter';
import { Gpu, type Precision } from '../src/runtime/device';
import { OptionError } from '../src/runtime/errors';
import { measureCeilings } from './ceiling/ceiling';
import type { BenchCommand } from './command';
import { measuringOptions } from './options';
import { commit, versions } from './provenance';
import { type BenchRecord, type Ceilings, describeDevice } from './record';
import { Session } from './session';
import { formatRecord } from './table';

export interface MeasuringFlags {
  /** Where the JSON goes; none without it. */
  readonly json?: string;
  /** Time for each row, s; by adapter without it. */
  readonly budget?: number;
  readonly quiet?: boolean;
  /** Storage type; all that the device has without it. */
  readonly precision?: Precision;
}

export interface Measuring<Flags extends MeasuringFlags> {
  readonly name: string;
  readonly text: string;
  readonly isDefault?: boolean;
  /** Whether the ceilings are rows of the record; dispatch cost and compile time are measured then, too. */
  readonly ceilingRows?: boolean;
  /** Declares options beside those of MeasuringFlags; --precision is up to each command. */
  readonly declare?: (command: Command) => void;
  /** Mistakes in the options show before minutes have passed. @throws OptionError */
  readonly verify?: (flags: Flags) => void;
  /** Adds rows, and what got none, to the session. */
  readonly measure: (session: Session, flags: Flags, ceilings: Ceilings) => Promise<void>;
}

/** A command that measures the ceilings, then more, and prints one record. Its exit code is 1 when a kernel was wrong. */
export function measuringCommand<Flags extends MeasuringFlags>(what: Measuring<Flags>): BenchCommand {
  return {
    ...what,
    declare(command) {
      measuringOptions(command);
      what.declare?.(command);
    },
    async run(flags: Flags) {
      what.verify?.(flags);
      if (flags.json) await assertWritable(flags.json);
      const gpu = await openGpu();
      if (flags.precision) gpu.requirePrecision(flags.precision);
      const session = new Session(gpu, {
        budget: flags.budget ?? (gpu.caps.software ? 0.5 : 1),
        ...(flags.quiet && { quiet: true }),
      });
      const date = new Date().toISOString();
      const ceilings = await measureCeilings(session, what.ceilingRows ?? false);
      if (!what.ceilingRows) session.rows.length = 0;
      await what.measure(session, flags, ceilings);
      const record = await recordOf(session, ceilings, date);
      console.log(formatRecord(record));
      if (flags.json) await writeJson(flags.json, record);
      if (record.failed.length > 0) process.exitCode = 1;
    },
  };
}

/** The device that everything is timed on, with its tuned table as users have it; named on stderr. */
export async function openGpu(): Promise<Gpu> {
  const choice = await acquireAdapter();
  const gpu = await Gpu.open(choice, await loadTuning(choice.adapter.info, choice.software));
  // As models do that may use them.
  await checkMatrixUnits(gpu, { training: true });
  console.error(`${gpu.name}: ${gpu.choice.reason}`);
  for (const note of gpu.notes) console.error(note);
  return gpu;
}

/** What the session has seen. @param date of its begin, ISO 8601, UTC. */
export async function recordOf(
  session: Session,
  ceilings: Ceilings,
  date: string,
  engines?: BenchRecord['versions']['engines'],
): Promise<BenchRecord> {
  const hash = await commit();
  return {
    device: describeDevice(session.gpu),
    versions: await versions(engines),
    date,
    ...(hash && { commit: hash }),
    clock: session.clock,
    ...(session.gpu.tuning && {
      // Records are shared: no path of this machine.
      tuned: {
        source: session.gpu.tuning.source.replace(/.*[\\/]/, ''),
        rows: session.gpu.tuning.table.size,
      },
    }),
    ceilings,
    rows: session.rows,
    skipped: session.skipped,
    failed: session.failed,
    ...(session.notes.length > 0 && { notes: session.notes }),
  };
}

/** The storage types to time: the one asked for, or all that the device has. */
export function precisionsOf({ gpu }: Session, { precision }: MeasuringFlags): readonly Precision[] {
  if (precision) return [precision];
  return gpu.caps.f16 ? ['f32', 'f16'] : ['f32'];
}

/** Asked first: minutes of measuring should not end in a folder that does not exist. @throws OptionError */
export async function assertWritable(path: string, option = '--json'): Promise<void> {
  const folder = dirname(path);
  await access(folder, constants.W_OK).catch(() => {
    throw new OptionError(`${option} ${path}: the folder ${folder} cannot be written.`, 'Create it first.');
  });
}

/** Writes `value` as JSON and says so on stderr. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeText(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** Writes a text as UTF-8 and says so on stderr. */
export async function writeText(path: string, text: string): Promise<void> {
  await writeFileAtomic(path, [new TextEncoder().encode(text)]);
  console.error(`Written: ${path}`);
}
