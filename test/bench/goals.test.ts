import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatGoal, goalsOf } from '../../bench/goals';
import { benchBank, benchBatches } from '../../bench/model/growth';
import { benchLoad } from '../../bench/model/load';
import { parseRecord } from '../../bench/read-record';
import { Session } from '../../bench/session';
import { openTestGpu } from '../helpers/gpu';

const BENCH = join(import.meta.dirname, '../../dist/bench.js');
const CHOICE = { shape: '4640x1024x4096', batch: 16 };
const bench = (...args: string[]) => promisify(execFile)(process.execPath, [BENCH, ...args]);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mla-lp-goals-test-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Fields = Readonly<Record<string, unknown>>;

const record = (rows: readonly Fields[], device: Fields = { name: 'Imaginary' }) =>
  parseRecord(
    JSON.stringify({ device, rows: rows.map((row) => ({ engine: 'mla-lp', dtype: 'f16', ...row })) }),
    'x.json',
  );

const said = (rows: readonly Fields[], device?: Fields) =>
  goalsOf([record(rows, device)], CHOICE).map(formatGoal);
const about = (what: string, rows: readonly Fields[], device?: Fields) =>
  said(rows, device).filter((line) => line.includes(what));

test('what nobody measured is said to be so, and neither met nor missed', () => {
  const lines = said([]);
  expect(lines.length).toBeGreaterThan(10);
  for (const line of lines) expect(line).toMatch(/^goal: .+: wanted at (least|most) \S.*, got not measured$/);
});

test('GEMM: the fastest f32 kernel against the ceiling, matrix units against it', () => {
  const gemm = { suite: 'gemm', case: 'f32 4640x1024x4096 nk' };
  const rows = [
    { ...gemm, variant: 'plain', dtype: 'f32', medianMs: 60, share: 0.075 },
    { ...gemm, variant: 'tiled', dtype: 'f32', medianMs: 6, share: 0.75 },
    { ...gemm, case: 'f32 290x1024x4096', variant: 'tiled', dtype: 'f32', medianMs: 1, share: 0.9 },
    { ...gemm, variant: 'tiled_f16', medianMs: 1 },
    { ...gemm, variant: 'matrix_64x64', medianMs: 4 },
  ];
  expect(about('GEMM', rows)).toEqual([
    'goal: f32 GEMM 4640x1024x4096, share of the measured ceiling: wanted at least 70%, got 75% (tiled): met',
    'goal: f16 GEMM 4640x1024x4096 on matrix units, times our f32: wanted at least 3.000 x, got 1.500 x (matrix_64x64 against tiled): MISSED',
  ]);
});

test('towers and steps: their time over ours at the batch that fills the device', () => {
  const tower = { suite: 'peers', case: 'tower vitl14 240 px, batch 16', variant: 'chosen' };
  const train = { suite: 'train', case: 'vitl14, 240 px, batch 16' };
  const rows = [
    { ...tower, medianMs: 50 },
    { ...tower, engine: 'onnxruntime-webgpu', medianMs: 150 },
    { ...tower, engine: 'jax-js', medianMs: 60 },
    { ...tower, dtype: 'f32', medianMs: 100 },
    { ...tower, dtype: 'f32', engine: 'onnxruntime-webgpu', medianMs: 150 },
    { ...tower, case: 'tower vitl14 240 px, batch 1', medianMs: 1 },
    { ...tower, suite: 'tower', engine: 'pytorch 2.5', medianMs: 10 },
    { ...train, variant: 'step', medianMs: 100 },
    { ...train, variant: 'step', engine: 'pytorch 2.5', medianMs: 31 },
    { ...train, variant: 'forward', engine: 'pytorch 2.5', medianMs: 1 },
  ];
  expect(about('batch 16, ', rows)).toEqual([
    "goal: image tower, batch 16, f32, times ONNX Runtime's WebGPU provider: wanted at least 2.000 x, got 1.500 x (100.0 ms against 150.0 ms): MISSED",
    "goal: image tower, batch 16, f16, times ONNX Runtime's WebGPU provider: wanted at least 2.000 x, got 3.000 x (50.00 ms against 150.0 ms): met",
    'goal: image tower in f16, batch 16, times PyTorch: wanted at least 0.3000 x, got 0.2000 x (50.00 ms against 10.00 ms): MISSED',
    'goal: training step in f16, batch 16, times PyTorch: wanted at least 0.3000 x, got 0.3100 x (100.0 ms against 31.00 ms): met',
  ]);
});

test('memory, loading, growth', () => {
  const image = { suite: 'image', case: 'vitl14, 240 px, batch 16' };
  const growth = { suite: 'growth', case: 'x' };
  const folder = { suite: 'folder', variant: 'an image, end to end' };
  const rows = [
    { ...image, variant: 'steady', medianMs: 1, peakBytes: 112e6 },
    { ...image, variant: 'make and upload weights', medianMs: 1, floor: { flops: 0, bytes: 100e6 } },
    { suite: 'load', case: 'x, file in f32', variant: 'plain read, cold', medianMs: 1, gbps: 1 },
    { suite: 'load', case: 'x, file in f32', variant: 'load, cold', medianMs: 9, gbps: 9 },
    { suite: 'load', case: 'x, file in f16', variant: 'plain read, cold', medianMs: 100, gbps: 6 },
    { suite: 'load', case: 'x, file in f16', variant: 'load', medianMs: 200, gbps: 1 },
    { suite: 'load', case: 'x, file in f16', variant: 'write', medianMs: 120, gbps: 1 },
    { suite: 'load', case: 'x, file in f16', variant: 'load, cold', medianMs: 300, gbps: 2 },
    { ...growth, variant: 'batch 1', medianMs: 9 },
    { ...growth, variant: 'batch 16', medianMs: 42 },
    { ...growth, variant: 'batch 8', medianMs: 20 },
    { ...growth, variant: '4 images', medianMs: 1 },
    { ...growth, variant: '16 images', medianMs: 8 },
    { ...folder, case: 'tiny, batch 1, 30 images', medianMs: 10 },
    { ...folder, case: 'tiny, batch 1, 10 images', medianMs: 10 },
  ];
  const lines = said(rows).filter((line) => !line.endsWith('not measured'));
  expect(lines).toEqual([
    'goal: peak memory of inference in f16 beyond the weights, batch 16: wanted at most 15.0 %, got 12.0 % (112.0 MB): met',
    'goal: loading f16 weights off the disk, times reading their file off it alone: wanted at most 1.100 x, got 3.000 x (2.000 GB/s against 6.000 GB/s): MISSED',
    'goal: all of that but the disk and writing to the device (our JavaScript), times reading the file off the disk alone: wanted at most 1.000 x, got 0.8000 x (80.00 ms against 100.0 ms): met',
    'goal: cost of an image in the largest batch over that in the one before, f16: wanted at most 1.100 x, got 1.050 x (2.625 ms in 16, 2.500 ms in 8): met',
    'goal: cost of an image in the largest memory bank over that in the one before, f16: wanted at most 1.100 x, got 2.000 x (0.5000 ms in 16, 0.2500 ms in 4): MISSED',
    'goal: cost of an image in the largest folder over that in the smallest: wanted at most 1.100 x, got 1.000 x (10.00 ms in 30, 10.00 ms in 10): met',
  ]);
});

test('a software adapter is compared with its peers, by the worst case and CPU time', () => {
  const one = (name: string, engine: string, medianMs: number, cpuMs: number) => ({
    ...{ suite: 'peers', case: name, engine, dtype: 'f32', medianMs, cpuMs },
  });
  const rows = [
    one('gemm 1x2x3', 'mla-lp', 1, 1),
    one('gemm 1x2x3', 'peer', 9, 1.2),
    one('gemm 4x5x6', 'mla-lp', 1, 1),
    one('gemm 4x5x6', 'peer', 1, 2),
    one('block b', 'mla-lp', 1, 1),
    one('block b', 'peer', 1, 1.6),
  ];
  expect(about('best peer', rows)).toEqual([]);
  expect(about('best peer', rows, { name: 'CPU', software: true })).toEqual([
    "goal: the best peer's time over ours, GEMM of every model shape: wanted at least 1.250 x, got 1.200 x (gemm 1x2x3 f32, the least of all; CPU time): MISSED",
    "goal: the best peer's time over ours, one block: wanted at least 1.500 x, got 1.600 x (block b f32, the least of all; CPU time): met",
  ]);
});

test('growth and load are measured, and goals found in a folder of records', async () => {
  const gpu = await openTestGpu();
  const session = new Session(gpu, { budget: 0.001, quiet: true });
  const choice = { model: 'tiny', imageSize: 28, precision: 'f32' } as const;
  const ceilings = { f32Gflops: 100, copyGbps: 10, emptyRunMs: 0.1 };
  await benchBatches(session, choice, [1, 2], ceilings);
  await benchBank(session, choice, [1, 3, 1_000_000], ceilings);
  await benchLoad(session, choice);
  const { rows } = session;
  const skipped = session.skipped.filter(({ suite }) => suite === 'growth');
  // A folder in memory, or another system, has no cold rows, and says so.
  const cold = rows.length > 7 ? ['plain read, cold', 'load, cold'] : [];
  expect(session.skipped.length - skipped.length).toBe(2 - cold.length);
  expect(rows.map(({ suite, case: name, variant }) => `${suite}: ${name}, ${variant}`)).toEqual([
    'growth: tiny, 28 px, batch 1',
    'growth: tiny, 28 px, batch 2',
    'growth: search of a bank, 4 patches an image, 96 wide, 1 images',
    'growth: search of a bank, 4 patches an image, 96 wide, 3 images',
    ...['plain read', 'write', 'load', ...cold].map(
      (variant) => `load: tiny, 28 px, file in f32, ${variant}`,
    ),
  ]);
  expect(skipped).toMatchObject([{ variant: '1000000 images', reason: expect.stringMatching(/do not fit/) }]);
  const [one, two, ...banks] = rows.map(({ floor }) => floor.flops);
  expect(two! / one!).toBeCloseTo(2, 1);
  expect(banks[1]! - banks[0]!).toBe(2 * 2 * 4 * 4 * 96);
  const weights = 4 * 4 * (12 * 128 * 128);
  expect(rows[4]!.floor.bytes).toBeGreaterThan(weights);
  expect(rows[6]!.floor).toEqual(rows[4]!.floor);
  // Without the file's header.
  expect(rows[4]!.floor.bytes - rows[5]!.floor.bytes).toBeLessThan(50_000);

  const json = JSON.stringify({ device: { name: gpu.name }, rows });
  gpu.destroy();
  await writeFile(join(folder, 'growth.json'), json);
  await writeFile(join(folder, 'other.json'), '[]');
  const { stdout, stderr } = await bench('goals', folder);
  expect(stdout).toMatch(/in the largest batch over that in the one before, f32: .* ms in 2, .* ms in 1\)/);
  expect(stdout).toMatch(
    /in the largest memory bank over that in the one before, f32: .* ms in 3, .* ms in 1\)/,
  );
  expect(stderr).toMatch(/other\.json: it has no rows/);
  await expect(bench('goals', join(folder, 'nothing'))).rejects.toThrow(/cannot be read/);
});
