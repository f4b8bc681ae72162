import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareRecords, formatComparison, judge, noiseOf, regressions } from '../../bench/compare';
import { parseRecord, type ReadRow } from '../../bench/read-record';
import { BadFileError } from '../../src/runtime/errors';

const BENCH = join(import.meta.dirname, '../../dist/bench.js');

const row = (medianMs: number, spread = 0, more: Partial<ReadRow> = {}): ReadRow => ({
  suite: 'gemm',
  case: 'c',
  variant: 'v',
  engine: 'mla-lp',
  dtype: 'f32',
  medianMs,
  p10Ms: medianMs - spread,
  p90Ms: medianMs + spread,
  runs: 9,
  ...more,
});

const record = (rows: readonly ReadRow[], more: object = {}) =>
  parseRecord(
    JSON.stringify({ device: { name: 'Imaginary' }, versions: { 'mla-lp': '1' }, rows, ...more }),
    'a.json',
  );

test.each([
  ['slower', row(10, 1), row(13, 1), 'slower'],
  ['faster', row(13, 1), row(10, 1), 'faster'],
  ['ranges that overlap', row(10, 1), row(11, 1), 'same'],
  ['steady, but hardly changed', row(10, 0), row(10.1, 0), 'same'],
  ['the same', row(10, 1), row(10, 1), 'same'],
] as const)('judgement: %s', (_, before, after, verdict) => {
  expect(judge(before, after)).toBe(verdict);
});

test('few runs: the noise is assumed, less of it the more runs there are', () => {
  const few = (medianMs: number, runs: number): ReadRow => {
    const { p10Ms: _, p90Ms: __, ...rest } = row(medianMs);
    return { ...rest, runs };
  };
  expect(noiseOf(few(10, 1))).toEqual([10 / 1.5, 15]);
  expect(noiseOf(few(10, 4))).toEqual([8, 12.5]);
  expect(judge(few(10, 1), few(20, 1))).toBe('same');
  expect(judge(few(10, 1), few(25, 1))).toBe('slower');
  expect(judge(few(10, 4), few(16, 4))).toBe('slower');
});

test('rows are matched by suite, case, variant, engine and type', () => {
  const keys = ['suite', 'case', 'variant', 'engine', 'dtype'] as const;
  for (const key of keys) {
    const { changes, onlyBefore, onlyAfter } = compareRecords(
      record([row(1)]),
      record([row(1, 0, { [key]: 'other' })]),
    );
    expect(changes).toEqual([]);
    expect(onlyBefore).toMatchObject([{ case: 'c' }]);
    expect(onlyAfter).toMatchObject([{ [key]: 'other' }]);
  }
  const { changes } = compareRecords(
    record([row(10, 1, { cpuMs: 4 }), row(1, 0, { case: 'd' })]),
    record([row(1, 0, { case: 'd' }), row(20, 1, { cpuMs: 6 })]),
  );
  expect(changes).toMatchObject([
    { case: 'c', beforeMs: 10, afterMs: 20, ratio: 2, cpuRatio: 1.5, verdict: 'slower' },
    { case: 'd', ratio: 1, verdict: 'same' },
  ]);
});

test('what makes records incomparable is said', () => {
  const before = record([row(1)], {
    device: { name: 'A', description: 'driver 1' },
    versions: { 'mla-lp': '1', node: 'v20', engines: { 'jax-js': '0.1' } },
    clock: 'wall',
    ceilings: { f32Gflops: 100, copyGbps: 10 },
  });
  const after = record([row(1), row(1, 0, { dtype: 'f16' })], {
    device: { name: 'B', description: 'driver 2' },
    versions: { 'mla-lp': '1', node: 'v22', engines: { 'jax-js': '0.2' } },
    clock: 'timestamp',
    ceilings: { f32Gflops: 50, copyGbps: 10.5 },
  });
  const { warnings } = compareRecords(before, after);
  for (const part of [
    /device differs: A before, B after/,
    /driver differs: driver 1 before, driver 2/,
    /clocks: wall before, timestamp/,
    /node differs: v20 before, v22/,
    /jax-js differs: 0\.1 before/,
    /storage types differ: f32 before, f16, f32 after/,
    /0\.5000 times as fast \(f32Gflops/,
  ])
    expect(
      warnings.filter((warning) => part.test(warning)),
      String(part),
    ).toHaveLength(1);
  expect(warnings).toHaveLength(7);
  expect(compareRecords(before, before).warnings).toEqual([]);
  expect(compareRecords(record([row(1), row(2)]), record([row(1)])).warnings).toMatchObject([
    expect.stringMatching(/1 rows of the first record repeat/),
  ]);
});

test('the text marks what is beyond noise, and says why a row is gone', () => {
  const before = record([row(10, 1), row(10, 1, { case: 'd' }), row(10, 1, { case: 'gone' })]);
  const after = record([row(20, 1), row(10.5, 1, { case: 'd' })], {
    failed: [{ suite: 'gemm', case: 'gone', variant: 'v', reason: 'element 3 is wrong' }],
  });
  const text = formatComparison(compareRecords(before, after));
  expect(text).toMatch(/^gemm {3}c .* 10\.00 +20\.00 +2\.000 +- +slower$/m);
  expect(text).toMatch(/^gemm {3}d .* 1\.050 +-$/m);
  expect(text).toMatch(/0 faster, 1 slower, 1 within noise/);
  expect(text).toMatch(/Only in the first:\n {2}gemm, gone, v, mla-lp, f32: element 3 is wrong/);
});

test('a regression is slower beyond noise and beyond the factor', () => {
  const comparison = compareRecords(
    record([row(10, 1), row(10, 1, { case: 'd' }), row(10, 9, { case: 'e' })]),
    record([row(20, 1), row(13, 1, { case: 'd' }), row(20, 9, { case: 'e' })]),
  );
  expect(regressions(comparison, 1.5).map((one) => one.case)).toEqual(['c']);
  expect(regressions(comparison, 1.2).map((one) => one.case)).toEqual(['c', 'd']);
});

test.each([
  ['not JSON', '{', /not JSON/],
  ['no rows', '{}', /no rows/],
  ['a row that is none', '{"rows":[1]}', /row 0 is no object/],
  ['a row without engine', '{"rows":[{"suite":"a","case":"b","dtype":"f32","medianMs":1}]}', /no engine/],
  ['no time', '{"rows":[{"suite":"a","case":"b","engine":"e","dtype":"f32","medianMs":0}]}', /medianMs/],
  [
    'a decile that is text',
    '{"rows":[{"suite":"a","case":"b","engine":"e","dtype":"f32","medianMs":1,"p10Ms":"1"}]}',
    /p10Ms is no number/,
  ],
])('a file that is no record: %s', (_, text, reason) => {
  expect(() => parseRecord(text, 'a.json')).toThrow(BadFileError);
  expect(() => parseRecord(text, 'a.json')).toThrow(reason);
});

test('the least that a record may hold, from another program', () => {
  const text =
    '{"device":"GPU","rows":[{"suite":"a","case":"b","engine":"e","dtype":"f16","medianMs":2,"gflops":1}]}';
  const other = parseRecord(text, 'a.json');
  expect(other.device.name).toBe('GPU');
  expect(compareRecords(other, other).changes).toMatchObject([{ variant: '', ratio: 1, verdict: 'same' }]);
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mla-lp-compare-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('bench compare: exit code 1 above the ratio, 0 below it, no device opened', async () => {
  const write = async (name: string, rows: readonly ReadRow[]) => {
    const path = join(folder, name);
    await writeFile(path, JSON.stringify({ rows }));
    return path;
  };
  const files = [await write('a.json', [row(10, 1)]), await write('b.json', [row(15, 1)])];
  const run = (...args: string[]) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((done) => {
      const env = { ...process.env, MLA_LP_ADAPTER: 'no such adapter' };
      execFile(process.execPath, [BENCH, 'compare', ...args], { env }, (error, stdout, stderr) =>
        done({ code: Number(error?.code ?? 0), stdout, stderr }),
      );
    });
  expect(await run(...files, '--fail-above', '1.2')).toMatchObject({
    code: 1,
    stderr: '',
    stdout: expect.stringMatching(/1 slower than 1\.2 times/),
  });
  expect((await run(...files, '--fail-above', '2')).code).toBe(0);
  expect((await run(...files)).code).toBe(0);
  expect((await run(files[0]!, join(folder, 'c.json'))).stderr).toMatch(/c\.json: it cannot be read/);
});
