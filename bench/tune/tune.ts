/** `npm run tune`: searches situation after situation and keeps the device's table. */
import { readTunedRows, thisDevice, tunedPath, writeTunedRows } from '../../src/io/node/tuned-files';
import { shippedTuning } from '../../src/io/shipped-tuned';
import type { TunedRow } from '../../src/io/tuned-table';
import type { OpSuite } from '../../src/kernels/suite';
import type { Session } from '../session';
import { DeviceWorkshop, type TuneClock } from './device-workshop';
import { describe, type SearchResult, search } from './search';
import type { Situation } from './situation';

export interface TuneOptions {
  /** For all situations together, s. */
  readonly budget: number;
  /** Least gain that counts, as a share of a call's time. */
  readonly margin: number;
  readonly clock?: TuneClock;
  /** Nothing is written. */
  readonly dryRun?: boolean;
  /** The table's path; in the user's cache without it. */
  readonly to?: string;
  readonly suites: readonly OpSuite<unknown>[];
  readonly signal?: AbortSignal;
  /** Lines for people. */
  readonly print: (line: string) => void;
}

/** Opens a situation when its turn comes: all at once might not fit the device. */
export type OpenSituations = () => Promise<readonly Situation[]>;

/** @returns rows of the table as it is now. @throws MlaLpError */
export async function tune(
  session: Session,
  groups: readonly OpenSituations[],
  options: TuneOptions,
): Promise<readonly TunedRow[]> {
  const { gpu } = session;
  const { budget, dryRun = false, print, signal } = options;
  const device = thisDevice(gpu.info, gpu.caps.software);
  const path = options.to ?? tunedPath(device);
  const shipped = shippedTuning(device)?.table ?? new Map<string, string>();
  let rows = await readTunedRows(path, device);
  await session.measureEmptyRun();
  const end = performance.now() + 1000 * budget;
  for (const [i, open] of groups.entries()) {
    if (signal?.aborted) break;
    const situations = await open();
    try {
      for (const [j, situation] of situations.entries()) {
        if (signal?.aborted) break;
        const waiting = groups.length - i + situations.length - 1 - j;
        rows = await tuneSituation(session, situation, rows, shipped, {
          ...options,
          budget: Math.max(1, (end - performance.now()) / 1000 / waiting),
        });
        if (!dryRun) await writeTunedRows(path, device, rows);
      }
    } finally {
      for (const situation of [...situations].reverse()) situation.destroy();
    }
  }
  const where = dryRun ? 'Nothing was written (--dry-run)' : rows.length > 0 ? path : 'There is no table';
  print(`${where}: ${rows.length} calls.`);
  return rows;
}

/** The rows with what this situation gives in the place of what it gave before. */
async function tuneSituation(
  session: Session,
  situation: Situation,
  rows: readonly TunedRow[],
  shipped: ReadonlyMap<string, string>,
  options: TuneOptions,
): Promise<readonly TunedRow[]> {
  const { margin, print, signal } = options;
  const others = rows.filter(({ where }) => where !== situation.name);
  const base = new Map([...shipped, ...others.map(({ key, variant }) => [key, variant] as const)]);
  const workshop = await DeviceWorkshop.open(session, situation, { ...options, base });
  print(
    `${situation.name}: ${workshop.calls.length} kinds of calls have a choice; clock: ${workshop.clock}.`,
  );
  const bar = session.progress('tune', workshop.calls.length, 'calls');
  let result: SearchResult;
  try {
    result = await search(workshop, {
      base,
      budgetMs: 1000 * options.budget,
      margin,
      signal,
      onCall: (_call, index) => index > 0 && bar.step(),
      report: (line) => print(`  ${line}`),
    });
  } finally {
    bar.finish();
  }
  const { wins, settled } = result;
  print(verdictOf(result, workshop.calls.length));
  // Winners that nobody can be sure of: what an earlier, calmer day found stays.
  if (wins.length === 0 && result.whole?.verdict === 'undecided') return rows;
  const date = new Date().toISOString().slice(0, 10);
  const looked = new Set(settled.map(({ key }) => key));
  // What is neither settled now nor a call any more was measured with kernels that have changed.
  const open = new Set(workshop.calls.flatMap(({ key }) => (looked.has(key) ? [] : [key])));
  const won = wins.map(
    ({ call, variant, judgement }): TunedRow => ({
      key: call.key,
      variant,
      call: call.text.slice(0, 500),
      instead: call.choice,
      ratio: Number(judgement.ratio.toFixed(4)),
      where: situation.name,
      date,
    }),
  );
  const winning = new Set(won.map(({ key }) => key));
  const kept = rows.filter(
    ({ key, where }) => !winning.has(key) && (where !== situation.name || open.has(key)),
  );
  return [...kept, ...won];
}

function verdictOf({ wins, settled, whole }: SearchResult, calls: number): string {
  const seen = `${settled.length} of ${calls} calls were settled`;
  if (!whole) return `${seen}; the engine's own choices stay.`;
  const total = describe('The table', 'the own choices', whole, "the graph's time");
  return wins.length > 0 ? `${seen}. ${total}.` : `${seen}. ${total}: not surely better, so it is not used.`;
}
