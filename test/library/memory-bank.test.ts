/** Few-shot scoring against the float64 reference, and what a bank that cannot be used is told. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fileSpill } from '../../src/io/node/spill-file';
import { writeFileAtomic } from '../../src/io/node/write-file';
import { memoryBankChunks } from '../../src/io/training-state';
import { Clip, MlaLp, type MlaLpOptions } from '../../src/library/node';
import { readClipConfig } from '../../src/model/clip-config';
import type { Detection } from '../../src/model/detector';
import { weightsIdentity } from '../../src/model/identity';
import { MemoryBank } from '../../src/model/memory-bank';
import { computedRows } from '../../src/model/memory-bank-features';
import type { BankSource } from '../../src/model/memory-bank-source';
import { bankTensors } from '../../src/model/memory-bank-tensors';
import { mlaLpGraph } from '../../src/model/mla-lp-graph';
import { presetNamed } from '../../src/model/presets';
import { loadWeights } from '../../src/model/weight-loader';
import { madeOf } from '../../src/model/weight-names';
import { BufferStore } from '../../src/runtime/buffer-store';
import { fixture, openGolden, relativeError } from '../helpers/goldens';
import { openTestGpu } from '../helpers/gpu';

const SIZE = 100;
const STAGES = 4;
const GRID = 7;
const TOKENS = 1 + GRID * GRID;

const gpu = await openTestGpu();
const golden = await openGolden('tiny/golden.safetensors');
const weights = await openGolden('tiny/clip.safetensors');
const config = readClipConfig(weights);
const clip = new Clip(gpu, weights, config, 'f32');
const images = [0, 1, 2, 3].map((i) => fixture(`tiny/image${i}.png`));
const bank = { images: images.slice(0, 2), augment: false };
const folder = mkdtempSync(join(tmpdir(), 'mla-lp-bank-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function load(options: MlaLpOptions): Promise<MlaLp> {
  return MlaLp.load(clip, { checkpoint: fixture('tiny/init.safetensors'), imageSize: SIZE, ...options });
}

async function detect(options: MlaLpOptions, queries = images.slice(2)): Promise<Detection[]> {
  const model = await load(options);
  try {
    return await model.detect(queries);
  } finally {
    await model.destroy();
  }
}

/** Mean over pixels of the sum over stages of the resized distances, float64; bank: images 0 and 1, all tokens. */
async function detMean(preset: string, image: number): Promise<number> {
  const sum = new Float64Array(GRID * GRID);
  for (let s = 0; s < STAGES; s++) {
    const features = await golden.read(`${preset}.det.${s}`);
    const unit = (row: number) => {
      const v = Array.from(features.subarray(row * config.embed, (row + 1) * config.embed));
      const norm = Math.sqrt(v.reduce((a, b) => a + b * b, 0));
      return v.map((x) => x / norm);
    };
    const rows = Array.from({ length: 2 * TOKENS }, (_, r) => unit(r));
    for (let p = 0; p < sum.length; p++) {
      const q = unit(image * TOKENS + 1 + p);
      sum[p]! += 1 - Math.max(...rows.map((row) => row.reduce((a, b, c) => a + b * q[c]!, 0)));
    }
  }
  let total = 0;
  for (let y = 0; y < SIZE; y++)
    for (let x = 0; x < SIZE; x++) {
      const [sy, sx] = [(y * (GRID - 1)) / (SIZE - 1), (x * (GRID - 1)) / (SIZE - 1)];
      const [iy, ix] = [Math.min(Math.floor(sy), GRID - 2), Math.min(Math.floor(sx), GRID - 2)];
      const at = (dy: number, dx: number) => sum[(iy + dy) * GRID + ix + dx]!;
      const across = (dy: number) => at(dy, 0) * (1 - sx + ix) + at(dy, 1) * (sx - ix);
      total += across(0) * (1 - sy + iy) + across(1) * (sy - iy);
    }
  return total / (SIZE * SIZE);
}

async function expectGolden(found: readonly Detection[], preset: 'authors' | 'paper'): Promise<void> {
  const want = await golden.read(`${preset}.memory_map`);
  const map = Float32Array.from(found.flatMap(({ memory }) => Array.from(memory!.map)));
  expect(relativeError(map, want)).toBeLessThan(1e-4);
  for (const [i, { memory }] of found.entries())
    expect(Math.abs(memory!.detMean / (await detMean(preset, 2 + i)) - 1)).toBeLessThan(1e-4);
}

test.each(['authors', 'paper'] as const)('preset %s: maps and means of the reference', async (preset) => {
  const found = await detect({ preset, bank, batch: 2 });
  await expectGolden(found, preset);
  if (preset === 'paper') return;
  // The zero-shot part is what it is without a bank.
  const plain = await detect({ preset, batch: 2 });
  for (const [i, { score, map, memory }] of plain.entries()) {
    expect(memory).toBeUndefined();
    expect(found[i]!.score).toBe(score);
    expect(found[i]!.map).toEqual(map);
  }
});

test('over budget, tiles are uploaded for every batch, with the same result', async () => {
  const row = config.embed * 4;
  // 17 rows a tile: the last of six reaches back.
  const model = await load({ bank, bankMemory: 17 * row + 1 });
  expect(model.hasMemory).toBe(true);
  expect(model.bankDescription).toMatch(/100 rows in 6 tiles .* uploaded again for every batch/);
  const before = gpu.allocatedBytes;
  await expectGolden(await model.detect(images.slice(2)), 'authors');
  await model.destroy();
  expect(gpu.allocatedBytes).toBeLessThan(before);
});

describe('tiles', () => {
  const [ROWS, COLS, ENTRY] = [1001, 96, 143];
  const tensors = bankTensors(1, ROWS, COLS);
  const rowsOf = (tensor: number) => Float32Array.from({ length: ROWS * COLS }, (_, i) => (tensor ? i : -i));
  const source: BankSource = {
    tensors,
    close: async () => {},
    async *chunks() {
      for (const tensor of tensors.keys())
        for (let first = 0; first < ROWS; first += ENTRY)
          yield { tensor, first, rows: rowsOf(tensor).slice(first * COLS, (first + ENTRY) * COLS) };
    },
  };
  const part = (tensor: number, first: number, rows: number) =>
    rowsOf(tensor).subarray(first * COLS, (first + rows) * COLS);

  test('of a device that takes small bindings only: the last reaches back', async () => {
    const caps = gpu.caps;
    Object.defineProperty(gpu, 'caps', { value: { ...caps, maxBindingBytes: 131072 }, configurable: true });
    try {
      const openSpill = () => Promise.reject(new Error('not needed'));
      const made = await MemoryBank.create(gpu, source, { precision: 'f32', entryRows: ENTRY, openSpill });
      expect(made.layout).toEqual({ dtype: 'f32', tiles: 3, tileRows: 334 });
      for (const [tile, first] of [0, 334, 667].entries()) {
        const held = await made.store.read(`memory_bank.det.0.tile${tile}`);
        expect(held).toEqual(part(1, first, 334));
      }
      await made.destroy();
    } finally {
      Object.defineProperty(gpu, 'caps', { value: caps, configurable: true });
    }
  });

  test('of rows that can be had once only and have no room: they wait in a file', async () => {
    const options = {
      precision: 'f32',
      entryRows: ENTRY,
      openSpill: (bytes: number) => fileSpill(folder, bytes),
      budget: 100_000,
    } as const;
    const made = await MemoryBank.create(gpu, source, options);
    expect(made.layout).toEqual({ dtype: 'f32', tiles: 4, tileRows: 251 });
    for (const tensor of [1, 0])
      for (const [tile, first] of [0, 251, 502, 750].entries()) {
        await made.upload(tensor, tile);
        expect(await made.store.read('tile')).toEqual(part(tensor, first, 251));
      }
    await made.destroy();
  });
});

test('an augmented bank holds the eleven versions, and an image of it is no distance away', async () => {
  const adapters = new BufferStore(gpu);
  const preset = presetNamed('authors');
  const options = {
    config,
    activation: preset.activation,
    dtype: 'f32',
    imageSize: SIZE,
    stages: STAGES,
  } as const;
  const graph = mlaLpGraph({ ...options, batch: 1, preset });
  const init = await openGolden('tiny/init.safetensors');
  const own = new Map([...graph.weights].filter(([name]) => madeOf(name, init.tensors)));
  await loadWeights({ weights: own }, adapters, [init]);
  await init.close();
  const rowsOf = async (batch: number, count: number, augment: boolean, from: Float32Array) => {
    const size = 3 * SIZE * SIZE;
    const load = async (i: number) => from.subarray(i * size, (i + 1) * size);
    const source = computedRows(clip, adapters, { ...options, batch }, { count, augment, load });
    expect(source.tensors[0]!.shape).toEqual([11 * TOKENS, config.embed]);
    const all = source.tensors.map(({ shape }) => new Float32Array(shape[0] * shape[1]));
    for await (const { tensor, first, rows } of source.chunks()) all[tensor]!.set(rows, first * config.embed);
    return Float32Array.from(all.flatMap((values) => Array.from(values)));
  };
  const versions = await golden.read('augment.images');
  const [found, want] = [await rowsOf(4, 1, true, versions), await rowsOf(3, 11, false, versions)];
  expect(relativeError(found, want)).toBeLessThan(1e-3);
  adapters.destroy();

  const seen: number[][] = [];
  const onProgress = (done: number, total: number) => seen.push([done, total]);
  const [itself] = await detect({ bank: { images: [images[0]!], onProgress }, batch: 8 }, [images[0]!]);
  expect(seen).toEqual([
    [8, 11],
    [11, 11],
  ]);
  expect(Math.max(...itself!.memory!.map.map(Math.abs))).toBeLessThan(1e-5);
});

describe('bank files', () => {
  const path = (name: string) => join(folder, `${name}.safetensors`);

  async function write(
    name: string,
    metadata: Record<string, string> = {},
    change: (values: Float32Array) => void = () => {},
    tensors = bankTensors(STAGES, 2 * TOKENS, config.embed),
  ): Promise<string> {
    async function* rows() {
      for (const { head, stage, shape } of tensors) {
        const values = (await golden.read(`authors.${head}.${stage}`)).slice(0, shape[0] * shape[1]);
        change(values);
        yield values;
      }
    }
    await writeFileAtomic(path(name), memoryBankChunks(tensors, rows(), new Map(Object.entries(metadata))));
    return path(name);
  }

  let identity = '';
  beforeAll(async () => {
    identity = await weightsIdentity(weights);
  });

  test('scores are those of the images it was made of, on the device and over budget', async () => {
    const file = await write('bank', { weights: identity, preset: 'authors', imageSize: '100', step: '7' });
    await expectGolden(await detect({ bank: file }), 'authors');
    await expectGolden(await detect({ bank: file, bankMemory: 10_000 }), 'authors');
  });

  test.each([
    ['another CLIP', { weights: 'abc' }, /another CLIP/],
    ['another preset', { preset: 'paper' }, /preset paper, not authors/],
    ['another size', { imageSize: '240' }, /imageSize 240, not 100/],
  ] as const)('one of %s is refused', async (_what, metadata, message) => {
    const file = await write('other', metadata);
    await expect(load({ bank: file })).rejects.toThrow(message);
  });

  test('one of another state of the training is refused', async () => {
    const init = await openGolden('tiny/init.safetensors');
    const checkpoint = { ...init, metadata: new Map([['step', '20']]), close: async () => {} };
    const file = await write('step', { step: '10' });
    await expect(load({ bank: file, checkpoint })).rejects.toThrow(/their step differ/);
    const model = await load({ bank: await write('same', { step: '20' }), checkpoint });
    await model.destroy();
    await init.close();
  });

  test('damaged and foreign files are refused', async () => {
    const few = bankTensors(STAGES - 1, 2 * TOKENS, config.embed);
    await expect(load({ bank: await write('few', {}, undefined, few) })).rejects.toThrow(
      /memory_bank.seg.3 is missing/,
    );
    const narrow = bankTensors(STAGES, 2 * TOKENS, config.embed - 1);
    await expect(load({ bank: await write('narrow', {}, undefined, narrow) })).rejects.toThrow(
      /is \[100,95\], not \[100,96\]/,
    );
    const nan = await write('nan', {}, (values) => values.fill(Number.NaN, 500, 501));
    await expect(load({ bank: nan })).rejects.toThrow(/not finite/);
    await expect(load({ bank: fixture('tiny/init.safetensors') })).rejects.toThrow(
      /memory_bank.seg.0 is missing/,
    );
    const before = gpu.allocatedBytes;
    await expect(load({ bank: nan })).rejects.toThrow(/not finite/);
    expect(gpu.allocatedBytes, 'nothing stays on the device').toBe(before);
  });
});

test('a bank without images, for method clip, of an unreadable image', async () => {
  await expect(load({ bank: { images: [] } })).rejects.toThrow(/needs normal images/);
  await expect(MlaLp.load(clip, { bank, imageSize: SIZE })).rejects.toThrow(/Method clip has no memory bank/);
  await expect(load({ bank, bankMemory: 0 })).rejects.toThrow(/cannot have 0 bytes/);
  await expect(load({ bank: { images: [fixture('tiny/golden.json')] } })).rejects.toThrow(/golden.json/);
});
