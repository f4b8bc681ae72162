import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { positiveInteger } from '../../src/cli/options';
import { findSwiftShaderArchive, unpackSwiftShader } from '../../src/platform/node/bundled-swiftshader';
import type { Gpu } from '../../src/runtime/device';
import { measureCeilings } from '../ceiling/ceiling';
import type { BenchCommand } from '../command';
import { cpuMs } from '../measure';
import {
  assertWritable,
  type MeasuringFlags,
  openGpu,
  precisionsOf,
  recordOf,
  writeJson,
} from '../measuring';
import { measuringOptions, modelOption, numberList, precisionOption, seconds } from '../options';
import { ENGINES } from '../peers/engines';
import { MachineLoad } from '../peers/machine-load';
import { HOW_TO_INSTALL, installPeers, isInstalled } from '../peers/packages';
import type { Launch } from '../peers/peer-process';
import { benchPeers, SUITE } from '../peers/peers';
import { formatRatios, ratiosOf } from '../peers/ratios';
import { KINDS, type WorkKind, worksOf } from '../peers/workloads';
import { OURS } from '../record';
import { Session } from '../session';
import { formatRecord } from '../table';

interface Flags extends MeasuringFlags {
  readonly install?: boolean;
  readonly engines?: readonly string[];
  readonly only?: readonly WorkKind[];
  readonly batch?: readonly number[];
  readonly model: string;
  readonly imageSize: number;
  readonly layers?: number;
  readonly limit: number;
}

const oneOf = (what: string, known: readonly string[]) => (text: string) => {
  const names = text.split(',');
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`There is no ${what} ${unknown}. There are: ${known.join(', ')}.`);
  return names;
};

export const peersCommand: BenchCommand = {
  name: 'peers',
  text: 'the same GEMMs, block and image tower by other WebGPU engines',
  declare(command) {
    measuringOptions(command)
      .addOption(precisionOption())
      .option(
        '--install',
        'install the other engines into bench/peers (npm, no scripts), and measure nothing',
      )
      .option(
        '--engines <names>',
        'some of the engines, comma between',
        oneOf('engine', Object.keys(ENGINES)),
      )
      .option(
        '--only <kinds>',
        'gemm, block, tower; no tower on a software adapter unless told',
        oneOf('kind', KINDS),
      )
      .option(
        '--batch <numbers>',
        'images at once, comma between (1 on a software adapter, 1,16 on a GPU)',
        numberList,
      )
      .addOption(modelOption('vitl14').default('vitl14'))
      .option('--image-size <px>', 'side of the images', positiveInteger, 240)
      .option('--layers <n>', 'blocks of the tower; all of them unless told', positiveInteger)
      .option('--limit <seconds>', 'time for one answer of an engine, compiling included', seconds, 300);
  },
  async run(flags: Flags) {
    if (flags.install) {
      await installPeers();
      console.log('The peers are installed in bench/peers/node_modules.');
      return;
    }
    if (flags.json) await assertWritable(flags.json);
    const gpu = await openGpu();
    if (flags.precision) gpu.requirePrecision(flags.precision);
    const { software } = gpu.caps;
    const session = new Session(gpu, {
      budget: flags.budget ?? (software ? 0.5 : 1),
      ...(flags.quiet && { quiet: true }),
    });
    const date = new Date().toISOString();
    const load = new MachineLoad();
    const spent = process.cpuUsage();
    const ceilings = await measureCeilings(session, false);
    session.rows.length = 0;
    session.clock = 'wall';
    session.notes.push(
      "peers: each engine's process runs the work repeatedly and waits; wall clock a repetition, nothing taken off, ours the same.",
    );

    const wanted = new Set([OURS, ...(flags.engines ?? Object.keys(ENGINES))]);
    const engines: Record<string, Launch> = {};
    for (const name of Object.keys(ENGINES).filter((one) => wanted.has(one))) {
      const { package: needed } = ENGINES[name]!;
      if (!needed || isInstalled(needed)) {
        engines[name] = {
          script: process.argv[1]!,
          args: ['peer-engine', name],
          env: driverEnvironment(gpu),
        };
      } else {
        const reason = `${needed} is not installed. ${HOW_TO_INSTALL}`;
        session.skipped.push({ suite: SUITE, case: 'all', variant: name, reason });
      }
    }
    const kinds = flags.only ?? KINDS.filter((kind) => !software || kind !== 'tower');
    if (!kinds.includes('tower') && !flags.only) {
      const reason = 'a quarter of a minute to two minutes a run on a software adapter; --only tower runs it';
      session.skipped.push({ suite: SUITE, case: 'tower', variant: 'all', reason });
    }
    const works = worksOf({ ...flags, kinds, batches: flags.batch ?? (software ? [1] : [1, 16]) });
    const dtypes = precisionsOf(session, flags);
    const bar = session.progress('peers', 2 * works.length * dtypes.length * Object.keys(engines).length);
    const scratch = await mkdtemp(join(tmpdir(), 'mla-lp-peers-'));
    // Weights of gigabytes must not stay behind.
    process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const)
      process.once(signal, () => process.exit(code));
    try {
      const { rows, skipped, failed, notes, versions, cpuS } = await benchPeers({
        engines,
        works,
        dtypes,
        budgetMs: session.budgetMs,
        limitMs: 1000 * flags.limit,
        scratch,
        ceilings,
        onDone: bar.step,
      });
      bar.finish();
      session.rows.push(...rows);
      session.skipped.push(...skipped);
      session.failed.push(...failed);
      session.notes.push(...notes);
      const othersCpuShare = load.othersShare(cpuS + cpuMs(spent) / 1000);
      const record = { ...(await recordOf(session, ceilings, date, versions)), othersCpuShare };
      const ratios = ratiosOf(rows, OURS);
      console.log(formatRecord(record));
      if (ratios.length > 0) console.log(`\n${formatRatios(ratios)}`);
      if (flags.json) await writeJson(flags.json, { ...record, ratios });
      // A peer's fault is its own.
      if (failed.some(({ variant }) => variant === OURS)) process.exitCode = 1;
    } finally {
      bar.finish();
    }
  },
};

/** Engines with a Dawn of their own find Vulkan by themselves: it must show them the driver that we compute with. */
function driverEnvironment(gpu: Gpu): NodeJS.ProcessEnv {
  if (gpu.choice.source !== 'bundled-swiftshader') return {};
  const { folder, driverJson } = unpackSwiftShader(findSwiftShaderArchive()!);
  const { LD_LIBRARY_PATH } = process.env;
  return {
    VK_DRIVER_FILES: driverJson,
    VK_ICD_FILENAMES: driverJson,
    LD_LIBRARY_PATH: LD_LIBRARY_PATH ? `${folder}:${LD_LIBRARY_PATH}` : folder,
  };
}
