import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { relativeError, sampledGemmError, toleranceOf } from '../../bench/peers/agreement';
import { ENGINES } from '../../bench/peers/engines';
import { MachineLoad } from '../../bench/peers/machine-load';
import { placementOf } from '../../bench/peers/onnx/placement';
import { HOW_TO_INSTALL, isInstalled } from '../../bench/peers/packages';
import { PeerGoneError, PeerProcess } from '../../bench/peers/peer-process';
import { benchPeers } from '../../bench/peers/peers';
import { formatRatios, ratiosOf } from '../../bench/peers/ratios';
import { readWeight, writeWeights } from '../../bench/peers/weights-file';
import {
  type GemmWork,
  gemmWeight,
  nameOf,
  operandOf,
  type TowerWork,
  transpose,
  visionWeights,
  type Work,
  worksOf,
} from '../../bench/peers/workloads';
import type { BenchRecord, Row } from '../../bench/record';
import { OURS } from '../../bench/record';
import { syntheticClip } from '../../src/model/synthetic';
import type { Precision } from '../../src/runtime/device';
import { OptionError } from '../../src/runtime/errors';
import { decodeF16, encodeF16 } from '../../src/runtime/float16';

const FAKE = join(import.meta.dirname, '../helpers/fake-peer.mjs');
const BENCH = join(import.meta.dirname, '../../dist/bench.js');
const WORK: GemmWork = { kind: 'gemm', rows: 5, depth: 7, columns: 3 };
/** Time for one answer: a process needs a while to start on a busy machine. */
const LIMIT_MS = 5000;

let folder: string;
let right: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mla-lp-peers-test-'));
  right = join(folder, 'right.f32');
  await writeFile(right, new Uint8Array(product(WORK).buffer));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function product(work: GemmWork): Float32Array {
  const { rows, depth, columns } = work;
  const { values: x } = operandOf(work);
  const w = gemmWeight(work);
  const y = new Float32Array(rows * columns);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++)
      for (let k = 0; k < depth; k++) y[r * columns + c]! += x[r * depth + k]! * w[k * columns + c]!;
  return y;
}

const fake = (mode: string) => ({ script: FAKE, args: [mode, right, folder] });

const run = (
  modes: readonly string[],
  ours = 'right',
  works: readonly Work[] = [WORK],
  dtypes: readonly Precision[] = ['f32'],
) =>
  benchPeers({
    engines: { [OURS]: fake(ours), ...Object.fromEntries(modes.map((mode) => [mode, fake(mode)])) },
    works,
    dtypes,
    budgetMs: 1,
    limitMs: LIMIT_MS,
    scratch: folder,
  });

test('an engine that is right gets times, beside ours', async () => {
  const { rows, skipped, failed, notes, versions, cpuS } = await run(['slower']);
  expect(cpuS).toBe(3);
  expect({ skipped, failed, notes }).toEqual({ skipped: [], failed: [], notes: [] });
  expect(versions).toEqual({ slower: '1.2.3' });
  expect(rows).toMatchObject([
    { suite: 'peers', case: 'gemm 5x7x3', engine: OURS, dtype: 'f32', medianMs: 1, gflops: 1, cpuMs: 2 },
    { engine: 'slower', medianMs: 2.5, gflops: 0.4, cpuMs: 3, checked: 'against mla-lp', relativeError: 0 },
  ]);
  const ratios = ratiosOf(rows, OURS);
  expect(ratios).toEqual([
    { case: 'gemm 5x7x3', dtype: 'f32', bestPeer: 'slower', ratio: 2.5, cpuRatio: 1.5 },
  ]);
  expect(formatRatios(ratios)).toMatch(/gemm 5x7x3 {2}f32 {4}slower {5}2\.500 {5}1\.500/);
});

test.each([
  ['wrong', /differs from our result by 0\.0/],
  ['not a number', /differs from our result by Infinity/],
  ['short', /differs from our result by Infinity/],
  ['refuses', /it knows no such operator/],
  ['dies at once', /ended with exit code 3 \("a library is missing"\)/],
  ['always dies', /ended with signal SIGKILL/],
  ['elsewhere', /computes on another device: .*Acme Two; mla-lp on .*Acme One/],
])('fault "%s": no times, and the others go on', async (mode, reason) => {
  const { rows, failed } = await run([mode, 'slower']);
  expect(rows.map(({ engine }) => engine)).toEqual([OURS, 'slower']);
  expect(failed).toEqual([
    { suite: 'peers', case: 'gemm 5x7x3 f32', variant: mode, reason: expect.stringMatching(reason) },
  ]);
});

test('an engine that hangs is killed', async () => {
  const engine = new PeerProcess(fake('hangs'));
  await engine.request('open', {}, LIMIT_MS);
  const request = {
    task: { work: WORK, dtype: 'f32' },
    resultPath: right,
    targetMs: 1,
    mostRepeats: 1,
  } as const;
  const answer = engine.request('prepare', request, 500);
  await expect(answer).rejects.toThrow(PeerGoneError);
  await expect(answer).rejects.toThrow(/did not answer "prepare" within 0\.5 s/);
  expect(engine.isGone).toBe(true);
  const pid = Number(await readFile(join(folder, 'hangs.pid'), 'utf8'));
  await expect.poll(() => isAlive(pid), { timeout: 5000 }).toBe(false);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('an engine whose process died is started anew for the next work, and given up after the second death', async () => {
  const again = await run(['dies once'], 'right', [WORK, WORK]);
  expect(again.failed).toHaveLength(1);
  expect(again.rows.map(({ engine }) => engine)).toEqual([OURS, OURS, 'dies once']);
  const never = await run(['always dies'], 'right', [WORK, WORK, WORK]);
  expect(never.failed).toHaveLength(2);
  expect(never.skipped).toMatchObject([{ reason: 'given up after 2 losses of its process' }]);
});

test('an engine that is wrong in its best way is timed in the next one, and both are said', async () => {
  const block = { kind: 'block', model: 'tiny', imageSize: 14, batch: 1 } as const;
  const { rows, failed } = await run(['second way'], 'right', [block, block]);
  const twice = [
    { engine: OURS, variant: 'chosen' },
    { engine: 'second way', variant: 'plain', relativeError: 0 },
  ];
  expect(rows).toMatchObject([...twice, ...twice]);
  // The second time its best way is not tried again.
  expect(failed).toMatchObject([
    { variant: 'second way', reason: expect.stringMatching(/^wrong by fused.*timed by plain instead/) },
  ]);
});

test('where only f16 is asked for, f32 shows first which way is right', async () => {
  const block = { kind: 'block', model: 'tiny', imageSize: 14, batch: 2 } as const;
  const { rows, failed } = await run(['second way', 'slower'], 'right', [block, block], ['f16']);
  const each = [
    { engine: OURS, dtype: 'f16' },
    { engine: 'second way', dtype: 'f16', variant: 'plain' },
    { engine: 'slower', dtype: 'f16', variant: 'chosen' },
  ];
  expect(rows).toMatchObject([...each, ...each]);
  expect(failed).toMatchObject([
    {
      case: 'block tiny 14 px, 2 tokens, batch 1 f32',
      variant: 'second way',
      reason: expect.stringMatching(/^wrong by fused/),
    },
  ]);
});

test('a type that an engine has not is said once, and the others have it', async () => {
  const { rows, skipped } = await run(['f32 only', 'slower'], 'right', [WORK, WORK], ['f32', 'f16']);
  expect(rows.filter(({ engine }) => engine === 'f32 only').map(({ dtype }) => dtype)).toEqual([
    'f32',
    'f32',
  ]);
  expect(rows.filter(({ engine }) => engine === 'slower')).toHaveLength(4);
  expect(skipped).toEqual([
    { suite: 'peers', case: 'all in f16', variant: 'f32 only', reason: 'it has no f16' },
  ]);
});

test('what an engine tells of its backend stands in the notes', async () => {
  const { notes } = await run(['placed', 'slower'], 'right', [WORK, WORK]);
  expect(notes).toEqual(['placed: by its own profile, all nodes of each of its 2 models (9) ran on WebGPU.']);
});

test('nodes of ONNX Runtime that did not run on WebGPU, or that nothing is known of, are an error', () => {
  const event = (name: string, provider?: string, cat = 'Node') => ({
    ...{ cat, name: `${name}_kernel_time`, ph: 'X', dur: 1 },
    args: provider ? { provider, op_name: 'MatMul' } : {},
  });
  const webgpu = ['a', 'b', 'a'].map((name) => event(name, 'WebGpuExecutionProvider'));
  const session = event('model_run', undefined, 'Session');
  const placed = (...events: object[]) => placementOf(JSON.stringify([session, ...events]));
  expect(placed(...webgpu)).toEqual({ backend: 'WebGpuExecutionProvider', nodes: 2 });
  expect(() => placed(...webgpu, event('c', 'CPUExecutionProvider'))).toThrow(
    '1 of 3 nodes ran on CPUExecutionProvider, not on WebGpuExecutionProvider: c',
  );
  expect(() => placed()).toThrow(/tells of no node/);
});

test('the time that other programs had is what is left of the CPUs', () => {
  const at = (user: number, idle: number) => [
    { times: { user, nice: 0, sys: 0, irq: 0, idle } },
    { times: { user: 0, nice: 0, sys: 0, irq: 0, idle: idle + user } },
  ];
  const looks = [at(1000, 500), at(4000, 7500)];
  const load = new MachineLoad(() => looks.shift()!);
  // 3 s of 20 s were spent, 1 s by us.
  expect(load.othersShare(1)).toBeCloseTo(0.1, 12);
  const idle = [at(0, 0), at(0, 10)];
  expect(new MachineLoad(() => idle.shift()!).othersShare(1)).toBe(0);
});

test('without a right result of ours nothing is timed', async () => {
  const { rows, skipped, failed } = await run(['slower'], 'wrong');
  expect(rows).toEqual([]);
  expect(failed).toMatchObject([{ variant: OURS, reason: expect.stringMatching(/float64 reference/) }]);
  expect(skipped).toMatchObject([{ variant: 'slower', reason: expect.stringMatching(/no result of ours/) }]);
});

test('a process that cannot be started says so', async () => {
  const process = new PeerProcess({ script: join(folder, 'nothing.mjs'), args: [] });
  await expect(process.request('open', {}, LIMIT_MS)).rejects.toThrow(PeerGoneError);
  await expect(process.request('open', {}, LIMIT_MS)).rejects.toThrow(/exit code 1.*Cannot find module/);
});

test('results are compared by their largest value', () => {
  const y = Float32Array.of(1, -4, 2);
  expect(relativeError(Float32Array.of(1, -4, 2.4), y)).toBeCloseTo(0.1, 6);
  expect(relativeError(y, y)).toBe(0);
  expect(relativeError(y.subarray(1), y)).toBe(Number.POSITIVE_INFINITY);
  expect(relativeError(Float32Array.of(1, Number.NaN, 2), y)).toBe(Number.POSITIVE_INFINITY);
  const work: GemmWork = { kind: 'gemm', rows: 40, depth: 8, columns: 30 };
  const product40 = product(work);
  expect(sampledGemmError(product40, work)).toBeLessThan(1e-6);
  product40[product40.length - 1]! += 0.1;
  expect(sampledGemmError(product40, work)).toBeGreaterThan(1e-2);
});

test('f16 may differ as far as sums in f16 do', () => {
  const vision = { model: 'vitl14', imageSize: 240, batch: 1 } as const;
  expect(toleranceOf({ ...WORK, depth: 1024 }, 'f16')).toBe(1 / 64);
  expect(toleranceOf({ kind: 'block', ...vision }, 'f16')).toBe(1 / 32);
  expect(toleranceOf({ kind: 'tower', ...vision }, 'f16')).toBe(1 / 16);
  expect(toleranceOf({ kind: 'tower', ...vision }, 'f32')).toBe(1e-3);
});

test('works: the shapes of a ViT-L/14 at 240 px', () => {
  const names = worksOf({
    kinds: ['gemm', 'block', 'tower'],
    batches: [1, 16],
    model: 'vitl14',
    imageSize: 240,
  });
  expect(names.map(nameOf)).toEqual([
    ...['1024x3072', '1024x1024', '1024x4096', '4096x1024', '1024x768'].map((s) => `gemm 290x${s}`),
    ...['1024x3072', '1024x1024', '1024x4096', '4096x1024', '1024x768'].map((s) => `gemm 4640x${s}`),
    'block vitl14 240 px, 290 tokens, batch 1',
    'block vitl14 240 px, 290 tokens, batch 16',
    'tower vitl14 240 px, batch 1',
    'tower vitl14 240 px, batch 16',
  ]);
  const some = { kinds: ['tower'], batches: [2], model: 'vitl14', imageSize: 240 } as const;
  const [two] = worksOf({ ...some, layers: 2 }) as [TowerWork];
  expect(nameOf(two)).toBe('tower vitl14 240 px, 2 of 24 blocks, batch 2');
  const read = [...visionWeights(two).keys()];
  expect(read.some((name) => name.includes('resblocks.1.'))).toBe(true);
  expect(read.some((name) => name.includes('resblocks.2.'))).toBe(false);
  expect(worksOf({ ...some, layers: 24 })).toEqual(worksOf(some));
  expect(() => worksOf({ ...some, layers: 25 })).toThrow(OptionError);
});

test.each(['f32', 'f16'] as const)(
  'the weights file holds what we load, matrices [in, out], in %s',
  async (dtype) => {
    const work = { kind: 'tower', model: 'tiny', imageSize: 28, batch: 1 } as const;
    const index = await writeWeights(join(folder, 'weights.bin'), work, dtype);
    expect(Object.keys(index.tensors).sort()).toEqual([...visionWeights(work).keys()].sort());
    const source = syntheticClip('tiny');
    const name = 'visual.transformer.resblocks.3.mlp.c_fc.weight';
    const stored = await source.read(name);
    const rounded = dtype === 'f16' ? decodeF16(encodeF16(stored)) : stored;
    expect(index.tensors[name]!.shape).toEqual([128, 512]);
    expect(await readWeight(index, name)).toEqual(transpose(rounded, 512, 128));
    expect(index.tensors['visual.positional_embedding@2']!.shape).toEqual([5, 128]);
  },
);

const missing = Object.entries(ENGINES)
  .filter(([, { package: needed }]) => needed && !isInstalled(needed))
  .map(([name]) => name);

function bench(args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((done) => {
    const child = spawn(process.execPath, [BENCH, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    child.once('close', (code) => done({ code, stdout, stderr }));
  });
}

const SMALL = ['--model', 'tiny', '--image-size', '28', '--precision', 'f32', '--budget', '0.001', '--quiet'];

test('bench peers by us alone writes a record', async () => {
  const json = join(folder, 'ours.json');
  const { code, stderr } = await bench([
    'peers',
    '--engines',
    OURS,
    '--only',
    'block,tower',
    '--json',
    json,
    ...SMALL,
  ]);
  expect(stderr).toMatch(/Written/);
  expect(code).toBe(0);
  const record = JSON.parse(await readFile(json, 'utf8')) as BenchRecord;
  expect(record.failed).toEqual([]);
  expect(record.rows.map(({ suite, case: name, engine }) => ({ suite, name, engine }))).toEqual([
    { suite: 'peers', name: 'block tiny 28 px, 5 tokens, batch 1', engine: OURS },
    { suite: 'peers', name: 'tower tiny 28 px, batch 1', engine: OURS },
  ]);
  for (const { gflops, cpuMs, share } of record.rows) {
    expect(gflops).toBeGreaterThan(0);
    expect(cpuMs).toBeGreaterThan(0);
    expect(share).toBeGreaterThan(0);
  }
});

describe.skipIf(missing.length > 0)(
  `with the peers installed (missing: ${missing.join(', ') || 'none'}. ${HOW_TO_INSTALL})`,
  () => {
    test('all engines compute what we do', async () => {
      const json = join(folder, 'peers.json');
      const { code, stdout } = await bench(['peers', '--only', 'gemm,block,tower', '--json', json, ...SMALL]);
      const record = JSON.parse(await readFile(json, 'utf8')) as BenchRecord;
      expect(record.failed).toEqual([]);
      expect(code).toBe(0);
      const of = (name: string) =>
        record.rows.filter(({ engine }: Row) => engine === name).map((row) => row.case);
      for (const name of Object.keys(ENGINES)) expect(of(name)).toEqual(of(OURS));
      expect(of(OURS)).toHaveLength(7);
      expect(Object.keys(record.versions.engines!)).toHaveLength(3);
      expect(stdout).toMatch(/Best peer \/ mla-lp/);
      expect(stdout).toMatch(/all nodes of each of its 7 models .* ran on WebGpuExecutionProvider/);
    });
  },
);
