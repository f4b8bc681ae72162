/** The project's goals for speed, memory and growth, from the records of one device: wanted and got, losses as openly as wins. */

import { ratiosOf } from './peers/ratios';
import type { ReadRecord, ReadRow } from './read-record';
import { OURS } from './record';
import { formatNumber, formatShare } from './table';

export interface Goal {
  readonly what: string;
  readonly wanted: string;
  /** What was measured, or why nothing was. */
  readonly got: string;
  /** Undefined when nothing was measured. */
  readonly isMet?: boolean;
}

export interface GoalChoice {
  /** M x K x N of the GEMM that stands for all. */
  readonly shape: string;
  /** Images of a run that fills the device. */
  readonly batch: number;
}

export const USUAL_CHOICE: GoalChoice = { shape: '4640x1024x4096', batch: 16 };

const PYTORCH = /^pytorch /;
const ORT = 'onnxruntime-webgpu';
const MISSING = 'not measured';
/** Memory of runs, beyond the weights'. */
const MOST_BEYOND_WEIGHTS = 0.15;
/** Time of a load over that of the disk alone: what still passes for bounded by the disk. */
const MOST_LOAD = 1.1;
/** Cost of one in a larger number over that in a smaller one: what still passes for linear. */
const MOST_GROWTH = 1.1;

/** @param records of one device, the first to have a row wins. */
export function goalsOf(records: readonly ReadRecord[], choice: GoalChoice): Goal[] {
  const rows = records.flatMap((record) => record.rows);
  const isSoftware = records.some(({ device }) => device.software);
  return [
    ...(isSoftware ? peerGoals(rows) : []),
    ...gemmGoals(rows, choice),
    ...(['f32', 'f16'] as const).map((dtype) => towerGoal(rows, choice, dtype)),
    pytorchGoal(rows, 'image tower in f16', choice, ({ suite }) => suite === 'peers' || suite === 'tower'),
    pytorchGoal(
      rows,
      'training step in f16',
      choice,
      ({ suite, variant }) => suite === 'train' && variant === 'step',
    ),
    ...[...new Set([1, choice.batch])].map((batch) => memoryGoal(rows, batch)),
    ...loadGoals(rows),
    ...growthGoals(rows),
  ];
}

export function formatGoal({ what, wanted, got, isMet }: Goal): string {
  const verdict = isMet === undefined ? '' : isMet ? ': met' : ': MISSED';
  return `goal: ${what}: wanted ${wanted}, got ${got}${verdict}`;
}

type Side = 'least' | 'most';

function goal(what: string, side: Side, bound: number, unit: (value: number) => string, got?: Got): Goal {
  const wanted = `at ${side} ${unit(bound)}`;
  if (!got || !Number.isFinite(got.value)) return { what, wanted, got: MISSING };
  const isMet = side === 'least' ? got.value >= bound : got.value <= bound;
  return { what, wanted, got: `${unit(got.value)}${got.how ? ` (${got.how})` : ''}`, isMet };
}

interface Got {
  readonly value: number;
  readonly how?: string;
}

const times = (value: number) => `${formatNumber(value)} x`;
const percent = (value: number) => `${(100 * value).toFixed(1)} %`;

/** Software adapters: the worst case counts. CPU time, for others may be at work. */
function peerGoals(rows: readonly ReadRow[]): Goal[] {
  const ratios = ratiosOf(
    rows.filter(({ suite }) => suite === 'peers'),
    OURS,
  );
  const worst = (kind: string): Got | undefined => {
    const all = ratios
      .filter((one) => one.case.startsWith(`${kind} `))
      .map((one) => ({
        value: one.cpuRatio ?? one.ratio,
        how: `${one.case} ${one.dtype}, the least of all; CPU time`,
      }));
    return all.length > 0 ? all.reduce((a, b) => (b.value < a.value ? b : a)) : undefined;
  };
  return [
    goal("the best peer's time over ours, GEMM of every model shape", 'least', 1.25, times, worst('gemm')),
    goal("the best peer's time over ours, one block", 'least', 1.5, times, worst('block')),
  ];
}

function gemmGoals(rows: readonly ReadRow[], { shape }: GoalChoice): Goal[] {
  const of = (dtype: string) =>
    rows.filter((row) => row.suite === 'gemm' && row.dtype === dtype && row.case.includes(shape));
  const isMatrix = ({ variant }: ReadRow) => variant?.startsWith('matrix') === true;
  const best = (all: readonly ReadRow[]) =>
    all.length > 0 ? all.reduce((a, b) => (b.medianMs < a.medianMs ? b : a)) : undefined;
  const f32 = best(of('f32'));
  const f16 = best(of('f16').filter(isMatrix));
  const matrixGot = f32 &&
    f16 && { value: f32.medianMs / f16.medianMs, how: `${f16.variant} against ${f32.variant}` };
  return [
    goal(
      `f32 GEMM ${shape}, share of the measured ceiling`,
      'least',
      0.7,
      formatShare,
      f32?.share === undefined ? undefined : { value: f32.share, how: f32.variant ?? '' },
    ),
    goal(`f16 GEMM ${shape} on matrix units, times our f32`, 'least', 3, times, matrixGot),
  ];
}

const isBatch = (row: ReadRow, batch: number) => new RegExp(`\\bbatch ${batch}$`).test(row.case);

function towerGoal(rows: readonly ReadRow[], { batch }: GoalChoice, dtype: 'f32' | 'f16'): Goal {
  const towers = rows.filter(
    (row) =>
      row.suite === 'peers' &&
      row.case.startsWith('tower ') &&
      !/ of \d+ blocks\b/.test(row.case) &&
      row.dtype === dtype &&
      isBatch(row, batch),
  );
  return goal(
    `image tower, batch ${batch}, ${dtype}, times ONNX Runtime's WebGPU provider`,
    'least',
    2,
    times,
    compared(towers, (engine) => engine === ORT),
  );
}

function pytorchGoal(
  rows: readonly ReadRow[],
  what: string,
  { batch }: GoalChoice,
  isWanted: (row: ReadRow) => boolean,
): Goal {
  const some = rows.filter((row) => row.dtype === 'f16' && isBatch(row, batch) && isWanted(row));
  return goal(
    `${what}, batch ${batch}, times PyTorch`,
    'least',
    0.3,
    times,
    compared(some, (engine) => PYTORCH.test(engine)),
  );
}

/** Their time over ours, of the first case that both have. */
function compared(rows: readonly ReadRow[], isOther: (engine: string) => boolean): Got | undefined {
  for (const own of rows.filter(({ engine }) => engine === OURS)) {
    const other = rows.find((row) => isOther(row.engine) && row.case === own.case);
    if (other)
      return {
        value: other.medianMs / own.medianMs,
        how: `${formatNumber(own.medianMs)} ms against ${formatNumber(other.medianMs)} ms`,
      };
  }
  return undefined;
}

function memoryGoal(rows: readonly ReadRow[], batch: number): Goal {
  const of = (variant: string) =>
    rows.find(
      (row) => row.suite === 'image' && row.dtype === 'f16' && row.variant === variant && isBatch(row, batch),
    );
  const peak = of('steady')?.peakBytes;
  const weights = of('make and upload weights')?.floor?.bytes;
  return goal(
    `peak memory of inference in f16 beyond the weights, batch ${batch}`,
    'most',
    MOST_BEYOND_WEIGHTS,
    percent,
    peak && weights ? { value: peak / weights - 1, how: `${formatNumber(peak / 1e6)} MB` } : undefined,
  );
}

/**
 * Bounded by the disk: reading ahead hides all else. On an adapter whose own copies take longer than the disk that cannot be; the second
 * goal leaves them out.
 */
function loadGoals(rows: readonly ReadRow[]): Goal[] {
  const of = (variant: string) =>
    rows.find(
      (row) =>
        row.suite === 'load' && / in f16$/.test(row.case) && row.dtype === 'f16' && row.variant === variant,
    );
  const [read, cold, warm, write] = ['plain read, cold', 'load, cold', 'load', 'write'].map(of);
  const rate = (row: ReadRow) => `${formatNumber(row.gbps)} GB/s`;
  const own = warm && write && warm.medianMs - write.medianMs;
  return [
    goal(
      'loading f16 weights off the disk, times reading their file off it alone',
      'most',
      MOST_LOAD,
      times,
      read && cold && { value: cold.medianMs / read.medianMs, how: `${rate(cold)} against ${rate(read)}` },
    ),
    goal(
      'all of that but the disk and writing to the device (our JavaScript), times reading the file off the disk alone',
      'most',
      1,
      times,
      read && own
        ? {
            value: own / read.medianMs,
            how: `${formatNumber(own)} ms against ${formatNumber(read.medianMs)} ms`,
          }
        : undefined,
    ),
  ];
}

function growthGoals(rows: readonly ReadRow[]): Goal[] {
  const goals: Goal[] = [];
  for (const dtype of ['f32', 'f16'] as const) {
    const growth = rows.filter((row) => row.suite === 'growth' && row.dtype === dtype);
    goals.push(
      goal(
        `cost of an image in the largest batch over that in the one before, ${dtype}`,
        'most',
        MOST_GROWTH,
        times,
        lastStep(sized(growth, ({ variant }) => /^batch (\d+)$/.exec(variant ?? ''))),
      ),
      goal(
        `cost of an image in the largest memory bank over that in the one before, ${dtype}`,
        'most',
        MOST_GROWTH,
        times,
        lastStep(sized(growth, ({ variant }) => /^(\d+) images$/.exec(variant ?? ''))),
      ),
    );
  }
  const folder = rows.filter(
    ({ suite, variant }) => suite === 'folder' && variant === 'an image, end to end',
  );
  const files = sized(folder, (row) => /, (\d+) images$/.exec(row.case), true);
  goals.push(
    goal(
      'cost of an image in the largest folder over that in the smallest',
      'most',
      MOST_GROWTH,
      times,
      step(files[0], files.at(-1)),
    ),
  );
  return goals;
}

interface Sized {
  readonly size: number;
  /** Of one, ms. */
  readonly each: number;
}

/** Cost of one by number, ascending. @param isEach the row's time is that of one already. */
function sized(
  rows: readonly ReadRow[],
  match: (row: ReadRow) => RegExpExecArray | null,
  isEach = false,
): Sized[] {
  return rows
    .flatMap((row) => {
      const size = Number(match(row)?.[1]);
      return size > 0 ? [{ size, each: isEach ? row.medianMs : row.medianMs / size }] : [];
    })
    .sort((a, b) => a.size - b.size);
}

const lastStep = (all: readonly Sized[]) => step(all.at(-2), all.at(-1));

function step(from: Sized | undefined, to: Sized | undefined): Got | undefined {
  if (!from || !to || from === to) return undefined;
  const say = ({ size, each }: Sized) => `${formatNumber(each)} ms in ${size}`;
  return { value: to.each / from.each, how: `${say(to)}, ${say(from)}` };
}
