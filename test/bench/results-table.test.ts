import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readmeTable } from '../../bench/commands/table';
import { parseRecord } from '../../bench/read-record';
import { BEGIN, END, replaceTable, resultsTable } from '../../bench/results-table';

const record = (more: object = {}, software = false) =>
  parseRecord(
    JSON.stringify({
      device: { name: 'Imaginary', description: 'Imaginary | driver 1', software },
      versions: { node: 'v20', webgpu: '0.6', engines: { peer: '1.2' } },
      date: '2026-11-25T01:02:03.000Z',
      commit: 'abc',
      ceilings: { f32Gflops: 100, copyGbps: 10 },
      rows: [
        { suite: 'gemm', case: 'left out', variant: 'v', engine: 'mla-lp', dtype: 'f32', medianMs: 1 },
        {
          suite: 'peers',
          case: 'gemm 1x2x3',
          variant: 'chosen',
          engine: 'mla-lp',
          dtype: 'f32',
          medianMs: 2,
          cpuMs: 2,
          gflops: 50,
          share: 0.5,
        },
        {
          suite: 'peers',
          case: 'gemm 1x2x3',
          variant: 'chosen',
          engine: 'peer',
          dtype: 'f32',
          medianMs: 5,
          cpuMs: 3,
        },
        { suite: 'image', case: 'm', variant: 'steady', engine: 'mla-lp', dtype: 'f16', medianMs: 8 },
      ],
      ...more,
    }),
    'x.json',
  );

test('a section for each device: who, when, what, and ratios to other engines', () => {
  const [legend, ...lines] = resultsTable([record()]).split('\n');
  expect(legend).toMatch(/^Median times; .*their time over ours/);
  expect(lines.join('\n')).toBe(
    [
      '',
      '**Imaginary \\| driver 1**: Node v20, webgpu 0.6, 2026-11-25, commit abc, f32 multiply-adds 100.0 GFLOP/s, copy 10.00 GB/s.',
      '',
      '| what | dtype | ms | GFLOP/s | share | peer 1.2 |',
      '|---|---|--:|--:|--:|--:|',
      '| gemm 1x2x3 | f32 | 2.000 | 50.00 | 50% | 2.50x |',
      '| image, m, steady | f16 | 8.000 | - | - | - |',
    ].join('\n'),
  );
});

test('one run is no median, and another way than the first choice is named', () => {
  const row = { suite: 'peers', case: 'tower', dtype: 'f32' };
  const [ours, peer] = [
    { ...row, variant: 'chosen', engine: 'mla-lp', medianMs: 8, runs: 1 },
    { ...row, variant: 'a detour', engine: 'peer', medianMs: 16, runs: 9 },
  ];
  expect(resultsTable([record({ rows: [ours, peer] })])).toContain(
    '| tower | f32 | 8.000 (one run) | - | - | 2.00x (a detour) |',
  );
  expect(resultsTable([record({ rows: [{ ...ours, runs: 2 }, peer] })])).toContain('| 8.000 (2 runs) |');
  expect(resultsTable([record({ rows: [{ ...ours, runs: 3 }, peer] })])).toContain('| 8.000 |');
});

test('an engine without a time: it has not the type, it failed and why, or it was not asked', () => {
  const row = { suite: 'peers', variant: 'chosen', medianMs: 1 };
  const of = (name: string, engine: string, dtype: string) => ({ ...row, case: name, engine, dtype });
  const text = resultsTable([
    record({
      rows: [
        ...['f32', 'f16'].map((dtype) => of('a', 'mla-lp', dtype)),
        ...['f32', 'f16'].map((dtype) => of('b', 'mla-lp', dtype)),
        of('a', 'peer', 'f32'),
      ],
      skipped: [{ suite: 'peers', case: 'all in f16', variant: 'peer', reason: 'it has no f16' }],
      failed: [
        { suite: 'peers', case: 'a f32', variant: 'peer', reason: 'wrong by its best way' },
        { suite: 'peers', case: 'b f32', variant: 'peer', reason: 'out of | memory' },
      ],
      othersCpuShare: 0.25,
    }),
  ]);
  const cells = text.split('\n').filter((line) => /^\| [ab] /.test(line));
  expect(cells.map((line) => line.split(' | ').at(-1))).toEqual([
    '1.00x |',
    'no f16 |',
    'failed |',
    'no f16 |',
  ]);
  const alone = record({
    rows: [of('a', 'mla-lp', 'f16')],
    skipped: [{ suite: 'peers', case: 'all in f16', variant: 'peer', reason: 'it has no f16' }],
  });
  expect(resultsTable([alone])).toMatch(/ share \| peer 1\.2 \|\n.*\n\| a \| f16 .* \| no f16 \|$/);
  expect(text).toMatch(/\n\npeer, b f32: out of \\\| memory$/);
  expect(text).toMatch(/other programs took 25% of the CPUs' time/);
});

test('a software adapter is no GPU: it says so, and ratios are of CPU time', () => {
  const text = resultsTable([record({}, true)]);
  expect(text).toMatch(/says nothing about any GPU/);
  expect(text).toMatch(/\| 1\.50x \|/);
});

test('further records of a device stand under its name', () => {
  const [other, own] = [record({ device: { name: 'Another' } }), record({}, true)];
  const text = resultsTable([own, record({ commit: 'def', othersCpuShare: 0.5 }, true), other, own]);
  expect(text.match(/^\*\*.*?\*\*/gm)).toEqual([
    '**Imaginary \\| driver 1**',
    '**Another**',
    '**Imaginary \\| driver 1**',
  ]);
  expect(text.match(/^Another run on it: .*, commit def, .*50%/gm)).toHaveLength(1);
  expect(text.match(/no GPU|about any GPU/g)).toHaveLength(2);
});

test('a further record with nothing to show is left out, but counts for the goals', () => {
  const load = (variant: string, medianMs: number) => ({
    ...{ suite: 'load', case: 'm, file in f16', engine: 'mla-lp', dtype: 'f16', variant, medianMs, gbps: 1 },
  });
  const rows = [load('load, cold', 30), load('plain read, cold', 10)];
  const text = resultsTable([
    record({}, true),
    record({ rows }, true),
    record({ device: { name: 'Another' } }),
  ]);
  expect(text).not.toMatch(/Another run/);
  expect(text).toMatch(
    /\n\n\| goal \| wanted \| got \| {2}\|\n\|---\|---\|---\|---\|\n(\| .* \|\n)*\| loading f16 weights .* \| at most 1\.100 x \| 3\.000 x .* \| MISSED \|\n\n\*\*Another/,
  );
});

test('nothing of a record becomes markup', () => {
  const text = resultsTable([record({ device: { name: '<img src=x>\n# `a` [b](c) **d**' } })]);
  expect(text).toMatch(/\*\*\\<img src=x\\> # \\`a\\` \\\[b\\\]\(c\) \\\*\\\*d\\\*\\\*\*\*:/);
});

test('the table goes between its markers, and nowhere else', () => {
  const text = `a\n${BEGIN}\nold\n${END}\nb\n`;
  const once = replaceTable(text, 'new')!;
  expect(once).toBe(`a\n${BEGIN}\n\nnew\n\n${END}\nb\n`);
  expect(replaceTable(once, 'new')).toBe(once);
  expect(replaceTable(`${END}${BEGIN}`, 'new')).toBeUndefined();
  expect(replaceTable(`${BEGIN}${END}${BEGIN}`, 'new')).toBeUndefined();
  expect(replaceTable('nothing', 'new')).toBeUndefined();
  expect(resultsTable([])).toMatch(/No device/);
});

test("README.md's table is what the records give", async () => {
  const { now, wanted } = await readmeTable(join(import.meta.dirname, '../..'));
  expect(now, 'npm run bench -- table').toBe(wanted);
});
