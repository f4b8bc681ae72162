/** The laboratory on a device: own kernels that are right, wrong, broken or endless, and variants that cannot run. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { diagnose } from '../../bench/laboratory/diagnose';
import { type LaboratoryRequest, runLaboratory } from '../../bench/laboratory/laboratory';
import { caseOf, suiteNamed } from '../../bench/laboratory/request';
import { compare, judge, subjectOf } from '../../bench/laboratory/verify';
import { runOnSave } from '../../bench/laboratory/watch';
import { timesTable } from '../../bench/laboratory/words';
import { readRecord } from '../../bench/read-record';
import type { Ceilings } from '../../bench/record';
import { Session } from '../../bench/session';
import plain from '../../src/kernels/gemm/gemm_plain.wgsl';
import softmax from '../../src/kernels/softmax/softmax_plain.wgsl';
import { acquireAdapter } from '../../src/platform/node/adapter';
import { Gpu } from '../../src/runtime/device';
import { BENCH_ENTRY, runCli } from '../helpers/cli';
import { openTestGpu } from '../helpers/gpu';

const gpu = await openTestGpu();
const gemm = suiteNamed('gemm');
const CEILINGS: Ceilings = { f32Gflops: 100, copyGbps: 10, emptyRunMs: 0.1 };
/** `gemm`'s own plain text as a user would bring it. */
const RIGHT = `// grid: ceil(M * N / 64)\n${plain}`;

async function laboratory(wgsl: string | undefined, more: Partial<LaboratoryRequest> = {}) {
  const session = new Session(gpu, { budget: 0.001, onProgress: () => {} });
  const request = {
    suite: gemm,
    case: caseOf(gemm, { shape: '5x8x9', choices: { bias: true } }),
    variants: [],
    limitMs: 30_000,
    ...(wgsl !== undefined && { own: { file: 'mine.wgsl', wgsl } }),
    ...more,
  };
  const result = await runLaboratory(session, request, async () => {
    // Ceilings are refused where something failed.
    expect(session.failed).toEqual([]);
    return CEILINGS;
  });
  return { ...result, skipped: session.skipped, failed: session.failed };
}

/** The table with a few small cases, for kernels that need no more to be found out. */
const few = {
  ...gemm,
  cases: gemm.cases.filter(({ name }) =>
    ['f32 3x5x7 bias residual', 'f32 1x64x48', 'f32 21x64x96 kn'].includes(name),
  ),
};

test('an own kernel that is right passes the table and gets a time and its limits', async () => {
  const { own, rows, failed, floor, chosen, ...rest } = await laboratory(RIGHT, { variants: ['plain'] });
  expect(failed).toEqual([]);
  expect(own).toMatchObject({ file: 'mine.wgsl', wrong: [], notFor: [] });
  expect(own!.right.length).toBeGreaterThan(15);
  expect(own!.right.length + own!.skipped.length).toBe(gemm.cases.length);
  expect(rest).toMatchObject({ op: 'gemm', case: 'f32 5x8x9 bias', ceilings: CEILINGS });
  expect(floor.flops).toBe(2 * 5 * 8 * 9);
  expect(gemm.op.variants.map(({ name }) => name)).toContain(chosen);
  expect(rows.map(({ variant, own }) => [variant, own])).toEqual([
    ['plain', false],
    ['mine', true],
  ]);
  for (const row of rows) {
    expect(row).toMatchObject({ suite: 'gemm', engine: 'mla-lp', dtype: 'f32', checked: 'this case', floor });
    expect(row.check).toMatchObject({ compared: 45, elements: 45 });
    expect(row.check.worst).toBeLessThan(1);
    expect(row.floorMs).toBeCloseTo(Math.max(floor.flops / 100e6, floor.bytes / 10e6), 9);
    expect(row.share! * row.medianMs).toBeCloseTo(row.floorMs, 9);
    expect(row.compileMs).toBeGreaterThan(0);
    expect(row.limits).toMatchObject({
      invocations: { used: 64 },
      storageBuffers: { used: 4 },
      workgroups: 1,
    });
  }
  expect(timesTable(rows).body[1]![0]).toBe('mine (yours)');
});

test('a wrong one is named with the case and the first wrong element, and gets no time', async () => {
  const { own, rows, failed } = await laboratory(RIGHT.replace('k < K;', 'k < K - 1u;'), { suite: few });
  expect(own!.right).toEqual([]);
  expect(own!.wrong.map((one) => one.case)).toEqual(few.cases.map(({ name }) => name));
  expect(own!.wrong[0]!.reason).toMatch(
    /result 0 f32\[1,48\] at \[0,0\] \(element 0\): got -?[\d.]+, wanted -?[\d.]+ within/,
  );
  expect(rows).toEqual([]);
  expect(failed).toHaveLength(few.cases.length);
});

test('an element that is never written is seen', async () => {
  const { own } = await laboratory(RIGHT.replace('index >= M * N', 'index >= M * N - 1u'), { suite: few });
  expect(own!.wrong[0]!.reason).toMatch(/at \[0,47\] \(element 47\): got NaN.*never written/);
});

test('a kernel that is right on the table and wrong on the shape asked gets no time', async () => {
  const wgsl = RIGHT.replace('var sum = 0.0f;', 'var sum = select(0.0f, 1.0f, K == 8u);');
  const { own, rows, failed } = await laboratory(wgsl, { suite: few });
  expect(own!.wrong).toEqual([]);
  expect(rows).toEqual([]);
  expect(failed).toMatchObject([{ case: 'f32 5x8x9 bias', variant: 'mine' }]);
});

test('two runs that differ are no result, however right both are', () => {
  const subject = subjectOf(gemm, caseOf(gemm, { shape: '5x8x9' }));
  const once = [Float32Array.from(subject.want[0]!)];
  const again = [once[0]!.slice()];
  expect(judge(gemm.op, subject, once, again).wrong).toBeUndefined();
  again[0]![13]! *= 1 + 2 ** -23;
  expect(judge(gemm.op, subject, once, again).wrong).toMatch(
    /two runs differ, first .* at \[1,4\] \(element 13\)/,
  );
});

test('errors of the compiler are told by the lines of the file, whatever blocks, includes and loops did to them', async () => {
  const lines = [
    '// grid: 1',
    '// @if BIAS',
    'const A: u32 = 1u;',
    '// @else',
    'const A: u32 = 2u;',
    '// @end',
    '// @include gemm_epilogue',
    'const R: u32 = 2u;',
    'fn f() -> f32 {',
    '  var v = 0.0f;',
    '  // @unroll',
    '  for (var i = 0u; i < R; i++) {',
    '    v += f32(i);',
    '    v += nowhere;',
    '  }',
    '  return v;',
    '}',
  ];
  const kernel = {
    name: 'mine.wgsl',
    wgsl: lines.join('\n'),
    includes: { gemm_epilogue: 'fn g() {}\nfn h() {}' },
  };
  const found = await diagnose(gpu, kernel, { flags: [] });
  expect(found[0]).toMatchObject({ file: 'mine.wgsl', line: 14, column: 10 });
  expect(found[0]!.message).toMatch(/nowhere/);
  const loop = ['fn f() {', '  // @unroll', '  for (var i = 0u; i < 2u; i++) { nowhere(i); }', '}', ''].join(
    '\n',
  );
  expect((await diagnose(gpu, { name: 'mine.wgsl', wgsl: loop }, {}))[0]).toMatchObject({ line: 3 });
  const inside = await diagnose(
    gpu,
    { ...kernel, includes: { gemm_epilogue: 'fn g() {}\nfn h() { lost(); }' } },
    {},
  );
  expect(inside[0]).toMatchObject({ file: 'gemm_epilogue', line: 2 });
  const fine = { ...kernel, wgsl: kernel.wgsl.replace('nowhere', '1.0f') };
  expect(await diagnose(gpu, fine, {})).toEqual([]);
});

test('a kernel that does not compile is an error with file and line', async () => {
  const line = RIGHT.split('\n').findIndex((text) => text.includes('var sum = 0.0f')) + 1;
  await expect(laboratory(RIGHT.replace('var sum = 0.0f', 'var sum = 0.0f + q'))).rejects.toThrow(
    new RegExp(`mine\\.wgsl:${line}:\\d+ .*'q'`),
  );
});

test('variants that cannot run say why; the others do not suffer', async () => {
  const odd = { case: caseOf(gemm, { shape: '5x7x9' }), variants: 'all' as const };
  const { rows, skipped } = await laboratory(undefined, odd);
  expect(rows.map(({ variant }) => variant)).toContain('plain');
  expect(skipped.map(({ variant }) => variant)).toEqual(expect.arrayContaining(['registers', 'tiled']));
  expect(skipped.find(({ variant }) => variant === 'tiled')!.reason).toMatch(/K = 7 is not a multiple of 4/);
  expect(rows.length + skipped.length).toBe(gemm.op.variants.length);
  await expect(laboratory(undefined, { variants: ['fast'] })).rejects.toThrow(
    /no variant fast.*It has: plain/,
  );
});

test('a device that is lost meanwhile is told, with the kernel that ran', async () => {
  const other = await Gpu.open(await acquireAdapter());
  const session = new Session(other, { budget: 0.001, onProgress: () => {} });
  const request = {
    suite: gemm,
    case: caseOf(gemm, { shape: '5x8x9' }),
    variants: ['plain'],
    limitMs: 30_000,
  };
  const lost = runLaboratory(session, request, async () => {
    other.destroy();
    await other.device.lost;
    return CEILINGS;
  });
  await expect(lost).rejects.toThrow(/device was lost while plain ran.*loop that does not end/);
});

test('of a large case rows are compared, and all elements must be written', () => {
  const { cases: _, ...rest } = gemm;
  const suite = { ...rest, cases: [], op: { ...gemm.op, flops: () => 1.5e9 } };
  const subject = subjectOf(suite, caseOf(gemm, { shape: '50x8x9' }));
  const call = { ...subject.call };
  const right = Float32Array.from(
    gemm.reference(
      subject.operands.map((v) => Float64Array.from(v)),
      call as never,
    )[0]!,
  );
  expect(compare(gemm.op, subject, [right])).toMatchObject({ compared: 10 * 9, elements: 450 });
  expect(compare(gemm.op, subject, [right]).wrong).toBeUndefined();
  const rows = new Set(Array.from({ length: 90 }, (_, i) => Math.floor(subject.at![0]!(i) / 9)));
  const skipped = Array.from({ length: 50 }, (_, row) => row).find((row) => !rows.has(row))!;
  const holed = right.slice();
  holed[skipped * 9 + 4] = Number.NaN;
  expect(compare(gemm.op, subject, [holed]).wrong).toMatch(
    new RegExp(`at \\[${skipped},4\\].*never written`),
  );
  const wrong = right.slice();
  wrong[49 * 9 + 8]! += 1;
  expect(compare(gemm.op, subject, [wrong])).toMatchObject({
    wrong: expect.stringMatching(/at \[49,8\] \(element 449\)/),
  });
  expect(compare(gemm.op, subject, [wrong]).maxError).toBeCloseTo(1);
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mla-lp-laboratory-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const bench = (...args: string[]) => runCli(args, folder, BENCH_ENTRY);

test('the command line: table, JSON, page, and a record that others read', async () => {
  const [json, page] = [join(folder, 'r.json'), join(folder, 'r.html')];
  await writeFile(join(folder, 'mine.wgsl'), `// grid: ceil(ROWS / 16)\n${softmax}`);
  const shape = ['--shape', '5x9', '--variants', 'chosen'];
  const files = ['--wgsl', 'mine.wgsl', '--json', json, '--html', page];
  const { code, stdout, stderr } = await bench(
    'kernel',
    'softmax',
    ...shape,
    ...files,
    '--budget',
    '0.001',
    '--quiet',
  );
  expect(stderr).not.toMatch(/bench:/);
  expect(code).toBe(0);
  expect(stdout).toMatch(/mine\.wgsl on the op's table: \d+ right, 0 wrong/);
  expect(stdout).toMatch(/mine \(yours\) +all /);
  const record = await readRecord(json);
  expect(JSON.parse(await readFile(json, 'utf8'))).toMatchObject({
    op: 'softmax',
    case: 'f32 [5,9]',
    own: { wrong: [] },
    rows: [
      { chosen: true, own: false },
      { own: true, check: { compared: 45 }, limits: { dispatches: 1 } },
    ],
  });
  expect(record.rows).toHaveLength(2);
  expect(await readFile(page, 'utf8')).toMatch(/^<!doctype html>[\s\S]*class="roofline"/);
  await writeFile(
    join(folder, 'bad.json'),
    JSON.stringify({ ...record, rows: [{ ...record.rows[0], gflops: 'fast' }] }),
  );
  await expect(readRecord(join(folder, 'bad.json'))).rejects.toThrow(/row 0: gflops is no number/);
  await expect(readRecord(join(folder, 'mine.wgsl'))).rejects.toThrow(/it is not JSON/);
  const other = await bench('roofline', json, '--html', join(folder, 'other.html'), '--suite', 'warp');
  expect(other).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/no row to plot of warp\. Its suites: softmax/),
  });
});

test('the command line: a kernel that does not end is given up', async () => {
  const endless = RIGHT.replace('k < K; k++', 'k < K; k += 0u');
  expect(endless).not.toBe(RIGHT);
  await writeFile(join(folder, 'endless.wgsl'), endless);
  const { code, stderr } = await bench(
    'kernel',
    'gemm',
    '--shape',
    '1x2x3',
    '--wgsl',
    'endless.wgsl',
    '--limit',
    '1',
    '--quiet',
  );
  expect(code).toBe(1);
  expect(stderr).toMatch(/endless\.wgsl on .* did not finish within 1 s.*loop that does not end/);
});

test('a file that is saved runs the command again', async () => {
  const [file, log] = [join(folder, 'watched.wgsl'), join(folder, 'log')];
  await writeFile(file, '1');
  await writeFile(log, '');
  const script = `require('node:fs').appendFileSync(${JSON.stringify(log)}, require('node:fs').readFileSync(${JSON.stringify(file)}))`;
  const watching = runOnSave(file, [process.execPath, '-e', script]);
  try {
    await expect.poll(() => readFile(log, 'utf8'), { timeout: 10_000 }).toBe('1');
    await writeFile(file, '2');
    await expect.poll(() => readFile(log, 'utf8'), { timeout: 10_000 }).toBe('12');
  } finally {
    watching.close();
  }
});
