import { CommanderError } from 'commander';
import { expect, test } from 'vitest';
import { plausible } from '../../bench/ceiling/ceiling';
import { fmaSuite } from '../../bench/ceiling/fma';
import { parseArguments } from '../../bench/command';
import { commands } from '../../bench/commands';
import { Checker } from '../../bench/kernels/check';
import { benchSuite, chooseCases } from '../../bench/kernels/kernels';
import { interleave } from '../../bench/measure';
import { type BenchRecord, type Ceilings, rowOf, shareOf } from '../../bench/record';
import { Session } from '../../bench/session';
import { median, quantile, summarise } from '../../bench/stats';
import { formatNumber, formatRecord, formatTable } from '../../bench/table';
import { l2NormalizeSuite } from '../../src/kernels/l2-normalize/cases';
import { anySuite, type OpSuite } from '../../src/kernels/suite';
import { openTestGpu } from '../helpers/gpu';

const CEILINGS: Ceilings = { f32Gflops: 100, f16Gflops: 50, copyGbps: 10, emptyRunMs: 0.1 };

test('quantiles lie linearly between the sorted values', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1])).toBe(2.5);
  expect(quantile([10, 0], 0.1)).toBe(1);
  expect(quantile([], 0.5)).toBeNaN();
});

test('few runs have no deciles', () => {
  expect(summarise([1, 2, 3])).toEqual({ medianMs: 2, runs: 3 });
  expect(summarise([1, 2, 3, 4, 5])).toEqual({ medianMs: 3, p10Ms: 1.4, p90Ms: 4.6, runs: 5 });
});

test('contenders take turns until each has had its budget', async () => {
  let time = 0;
  const order: string[] = [];
  const contender = (name: string, ms: number) => ({
    async sample() {
      order.push(name);
      time += ms;
      return ms;
    },
  });
  let finished = 0;
  const times = await interleave([contender('slow', 10), contender('fast', 1)], {
    budgetMs: 5,
    minRuns: 2,
    onDone: () => finished++,
    now: () => time,
  });
  expect(order.join(' ')).toBe('slow fast slow fast fast fast fast');
  expect(times.map((ms) => ms.length)).toEqual([2, 5]);
  expect(finished).toBe(2);
});

test('timestamps far from the wall clock are not believed', () => {
  expect(plausible(9, 10)).toBe(true);
  expect(plausible(0.01, 10)).toBe(false);
  expect(plausible(20, 10)).toBe(false);
});

test('tables are aligned, numbers have no exponents', () => {
  const table = formatTable(
    ['name', 'ms'],
    [
      ['a', '1.5'],
      ['longer', '10'],
    ],
    1,
  );
  expect(table).toBe('name     ms\n------  ---\na       1.5\nlonger   10');
  expect([0.0123456, 12.345, 1234567.8, 3e-8, undefined, Number.NaN].map(formatNumber)).toEqual([
    '0.01235',
    '12.35',
    '1234568',
    '0.000000',
    '-',
    '-',
  ]);
});

test('share is the time that the floor takes at the ceilings, over the median', () => {
  // 1e8 operations at 100 GFLOP/s take 1 ms; 1e8 bytes at 10 GB/s take 10 ms.
  expect(shareOf({ flops: 1e8, bytes: 0 }, 'f32', 2, CEILINGS)).toBeCloseTo(0.5);
  expect(shareOf({ flops: 1e8, bytes: 1e8 }, 'f32', 20, CEILINGS)).toBeCloseTo(0.5);
  expect(shareOf({ flops: 1e8, bytes: 0 }, 'f16', 2, CEILINGS)).toBeCloseTo(0.5);
});

const GEMM_ROW = rowOf(
  {
    suite: 'gemm',
    case: 'c',
    variant: 'v',
    dtype: 'f32',
    floor: { flops: 2e8, bytes: 1e6 },
    checked: 'this case',
  },
  [4, 2, 6],
  CEILINGS,
);

test('a row has the fields that records promise', () => {
  expect(GEMM_ROW).toEqual({
    suite: 'gemm',
    case: 'c',
    engine: 'mla-lp',
    variant: 'v',
    dtype: 'f32',
    medianMs: 4,
    runs: 3,
    gflops: 50,
    gbps: 0.25,
    share: 0.5,
    floor: { flops: 2e8, bytes: 1e6 },
    checked: 'this case',
  });
});

test('the text says whose numbers these are, and what a software adapter is good for', () => {
  const record: BenchRecord = {
    device: {
      name: 'Imaginary',
      vendor: '',
      architecture: '',
      device: '',
      description: 'Imaginary',
      source: 'bundled-swiftshader',
      software: true,
      features: ['timestamp-query'],
      limits: {},
    },
    versions: { 'mla-lp': '1', node: '20', webgpu: '0' },
    date: '2026-01-01T00:00:00.000Z',
    clock: 'wall',
    ceilings: CEILINGS,
    rows: [GEMM_ROW],
    skipped: [],
    failed: [{ suite: 'gemm', case: 'd', variant: 'v', reason: 'element 3' }],
  };
  const text = formatRecord(record);
  expect(text).toMatch(/^Imaginary \(bundled-swiftshader\)/);
  expect(text).toMatch(/For tests only/);
  expect(text).toMatch(/c {5}v {8}f32 +4\.000 +- +- +3 +50\.00 +0\.2500 +50%/);
  expect(text).toMatch(/WRONG RESULT OR ERROR, so no time:\n {2}gemm, d, v: element 3/);
  expect(formatRecord({ ...record, device: { ...record.device, software: false } })).not.toMatch(
    /tests only/,
  );
});

const parse = (args: readonly string[]) => parseArguments(args, commands);

test('arguments: everything by default, one command otherwise', () => {
  expect(parse([])).toMatchObject({ command: 'all', flags: {} });
  expect(parse(['--json', 'r.json'])).toMatchObject({ command: 'all', flags: { json: 'r.json' } });
  expect(parse(['kernels'])).toMatchObject({ flags: { variants: 'chosen', check: 'affordable' } });
  expect(
    parse(['kernels', '--op', 'gemm', '--case', 'x1024', '--variants', 'all', '--budget', '0.2']),
  ).toMatchObject({
    command: 'kernels',
    flags: { op: 'gemm', case: 'x1024', variants: 'all', budget: 0.2 },
  });
  expect(parse(['image', '--model', 'tiny', '--batch', '2']).flags).toEqual({
    model: 'tiny',
    imageSize: 240,
    batch: 2,
  });
  expect(parse(['folder']).flags).toEqual({ imageSize: 240, batch: 1, images: 200 });
});

test.each([
  [['nonsense']],
  [['kernels', '--variants', 'some']],
  [['ceiling', '--budget', '0']],
  [['image', '--batch', '1.5']],
])('arguments: %j is refused', (args) => {
  const write = process.stderr.write;
  process.stderr.write = () => true; // commander prints the usage
  try {
    expect(() => parse(args)).toThrow(CommanderError);
  } finally {
    process.stderr.write = write;
  }
});

test('an op or case that is not there is an error that lists what is', () => {
  expect(() => chooseCases({ op: 'gem' })).toThrow(/no op gem.*layer_norm, .*gemm/);
  expect(() => chooseCases({ op: 'gemm', case: '1x1' })).toThrow(/290x1024x1024/);
  expect(chooseCases({ op: 'gemm' })[0]!.cases.every((one) => one.bench)).toBe(true);
});

const gpu = await openTestGpu();

/** The table with one case only, a small one. */
function smallSuite(): OpSuite<unknown> {
  const suite = anySuite(l2NormalizeSuite);
  return { ...suite, cases: suite.cases.filter((one) => one.name === 'f32 [77,129]') };
}

test('a small kernel is checked, then timed', async () => {
  const session = new Session(gpu, { budget: 0.01, quiet: true });
  await session.measureEmptyRun();
  const suite = smallSuite();
  const checker = new Checker(session, 'affordable');
  const { rows } = await benchSuite(session, suite, suite.cases, 'chosen', checker);
  expect(session.failed).toEqual([]);
  expect(rows).toHaveLength(1);
  const { what, ms } = rows[0]!;
  expect(what).toMatchObject({ suite: suite.op.name, dtype: 'f32', checked: 'this case' });
  expect(what.floor.bytes).toBe(2 * Math.ceil((4 * 77 * 129) / 16) * 16); // read and written
  expect(ms.length).toBeGreaterThanOrEqual(3);
  expect(ms.every((time) => time > 0)).toBe(true);
});

test('a wrong kernel gets no time', async () => {
  const session = new Session(gpu, { budget: 0.01, quiet: true });
  const suite = { ...smallSuite(), reference: () => [new Float64Array(77 * 129)] };
  const checker = new Checker(session, 'affordable');
  const { rows } = await benchSuite(session, suite, suite.cases, 'chosen', checker);
  expect(rows).toEqual([]);
  expect(session.failed).toMatchObject([
    { suite: suite.op.name, reason: expect.stringMatching(/element 0/) },
  ]);
});

test('the multiply-add ceiling computes every step', async () => {
  const session = new Session(gpu, { budget: 0.001, quiet: true });
  const suite = anySuite(fmaSuite(true, false));
  const checker = new Checker(session, 'all');
  const { rows } = await benchSuite(session, suite, suite.cases.slice(0, 1), 'all', checker);
  expect(session.failed).toEqual([]);
  expect(rows[0]!.what.checked).toBe('this case');
});
