/** What reaches the device of weights in files, on a device that computes nothing. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { memoryBytes } from '../../src/io/bytes';
import { fileBytes } from '../../src/io/node/file-bytes';
import { openSafetensors } from '../../src/io/safetensors';
import { renamed, stacked, tensorView, transposed } from '../../src/io/tensor-view';
import { safetensorsChunks } from '../../src/io/write-safetensors';
import { openTensors } from '../../src/library/load-clip';
import '../../src/library/node';
import type { TensorSource } from '../../src/model/tensor-source';
import { loadWeights, type WeightSink } from '../../src/model/weight-loader';
import { jointName, madeOf } from '../../src/model/weight-names';
import { BufferStore } from '../../src/runtime/buffer-store';
import { ValueError } from '../../src/runtime/errors';
import { decodeF16, encodeF16 } from '../../src/runtime/float16';
import { Graph } from '../../src/runtime/graph';
import { fixture } from '../helpers/goldens';
import { openSpiedDevice, type SpiedDevice } from '../helpers/spied-device';

/** Every finite binary16 number, subnormals included, and one more: an odd count. */
const halves = Uint16Array.from([
  ...Uint16Array.from({ length: 65536 }, (_, i) => i).filter((i) => (i & 0x7c00) !== 0x7c00),
  0x3c00,
]);
const N = halves.length;

async function fileOf(data: Uint16Array<ArrayBuffer>): Promise<TensorSource> {
  const chunks = safetensorsChunks([
    { name: 'a', dtype: 'F16', shape: [data.length], data },
    { name: 'b', dtype: 'F16', shape: [2, 3], data: Uint16Array.of(1, 2, 3, 4, 5, 6) },
    { name: 'c', dtype: 'F32', shape: [6], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
  ]);
  return openSafetensors(memoryBytes(Uint8Array.from(Buffer.concat([...chunks])), 'file'));
}

async function upload(source: TensorSource, dtype: 'f16' | 'f32', ...names: string[]) {
  const spy = await openSpiedDevice({ features: ['shader-f16'] });
  const g = new Graph();
  for (const name of names) g.weight(name, dtype, source.tensors.get(name)!.shape);
  const store = new BufferStore(spy.gpu);
  const done = loadWeights(g, store, [source]);
  await done;
  return spy.calls.flatMap(({ data }) => (data ? [data] : []));
}

test('f16 weights that stay f16 reach the device bit by bit, neither widened nor rounded', async () => {
  const file = await fileOf(halves);
  let widened = 0;
  const counted: TensorSource = {
    ...file,
    read(...range) {
      widened++;
      return file.read(...range);
    },
  };
  const [a] = await upload(counted, 'f16', 'a');
  expect(a!.length).toBe(2 * (N + 1)); // whole words
  expect(Buffer.compare(a!.subarray(0, 2 * N), new Uint8Array(halves.buffer))).toBe(0);
  expect(widened).toBe(0);
  const [wide] = await upload(counted, 'f32', 'a');
  // Widened on their way to the device, not before they are checked.
  expect(Buffer.compare(wide!, new Uint8Array(decodeF16(halves).buffer))).toBe(0);
  expect(widened).toBe(0);
});

test('so they do under other names and stacked; what is turned or f32 is rounded', async () => {
  const file = await fileOf(halves);
  const [b, c] = [file.tensors.get('b')!, file.tensors.get('c')!];
  const view = tensorView(
    file,
    new Map([
      ['renamed', renamed(file, b, 'renamed')],
      ['stacked', stacked(file, [b, b], 'stacked')],
      ['transposed', transposed(file, b, 'transposed')],
      ['rounded', renamed(file, c, 'rounded')],
      ['mixed', stacked(file, [c, c], 'mixed')],
    ]),
  );
  expect(await view.readHalves!('stacked', 4, 9)).toEqual(Uint16Array.of(5, 6, 1, 2, 3));
  expect(['transposed', 'rounded', 'mixed', 'nothing'].map((name) => view.readHalves!(name, 0, 1))).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  const names = ['renamed', 'stacked', 'transposed', 'rounded'];
  const written = (await upload(view, 'f16', ...names)).map((data) => [...new Uint16Array(data.buffer)]);
  expect(written).toEqual([
    [1, 2, 3, 4, 5, 6],
    [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6],
    [1, 4, 2, 5, 3, 6],
    [0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600],
  ]);
});

test('joint matrices fill one tensor from two, each as it is stored, and keep nothing when one is wrong', async () => {
  const file = await fileOf(halves);
  const both = jointName('b', 'c');
  expect([both, jointName('b', 'd'), 'b'].map((name) => madeOf(name, file.tensors))).toEqual([
    true,
    false,
    true,
  ]);
  const g = new Graph();
  g.weight(both, 'f16', [4, 3]);
  const held = new Map<string, number[]>();
  const sink: WeightSink = {
    has: () => false,
    async createAll(tensors) {
      for (const [name, { shape }] of tensors)
        held.set(name, new Array(shape[0]! * shape[1]!).fill(Number.NaN));
    },
    async write(name, values, start = 0) {
      for (const [i, value] of values.entries()) held.get(name)![start + i] = value;
    },
    async flush() {},
    remove: (name) => held.delete(name),
  };
  const seen: [number, number][] = [];
  await loadWeights(g, sink, [file], (p) => seen.push([p.loadedBytes, p.totalBytes]));
  // Bits of the one, values of the other.
  expect(held).toEqual(new Map([[both, [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]]]));
  expect(seen).toEqual([
    [12, 24],
    [24, 24],
  ]);
  const lacking = new Graph();
  lacking.weight(jointName('b', 'd'), 'f16', [4, 3]);
  await expect(loadWeights(lacking, sink, [file])).rejects.toThrow('the tensor d is missing');
  const broken = { ...file, read: async () => Float32Array.of(1, 2, Number.NaN, 4, 5, 6) };
  await expect(loadWeights(g, sink, [broken])).rejects.toThrow('c holds NaN');
  expect(held.size).toBe(0);
});

test("OpenAI's TorchScript file gives the bits of its f16 tensors", async () => {
  const source = await openTensors(fixture('weights/openai-jit.pt'));
  let compared = 0;
  for (const { name, dtype, shape } of source.tensors.values()) {
    const count = shape.reduce((a, b) => a * b, 1);
    const bits = source.readHalves!(name, 1, count);
    expect(bits !== undefined, name).toBe(dtype === 'F16');
    if (!bits) continue;
    const values = await source.read(name, 1);
    expect(decodeF16(await bits).findIndex((value, i) => value !== values[i])).toBe(-1);
    compared++;
  }
  expect(compared).toBeGreaterThan(10);
  await source.close();
});

test.each([
  [0x7c00, 'Infinity'],
  [0xfe00, 'NaN'],
])('stored bits %i are refused by name, and nothing of the tensor stays', async (bad, value) => {
  const damaged = halves.slice();
  damaged[N - 2] = bad;
  const source = await fileOf(damaged);
  const spy = await openSpiedDevice();
  const store = new BufferStore(spy.gpu);
  const g = new Graph();
  for (const name of ['b', 'a']) g.weight(name, 'f16', source.tensors.get(name)!.shape);
  const error = await loadWeights(g, store, [source]).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(ValueError);
  expect(String(error)).toContain(`a holds ${value}`);
  expect([store.has('a'), store.has('b'), spy.gpu.allocatedBytes]).toEqual([false, false, 0]);
});

test.each([
  ['F16', 'f32', 2],
  ['F32', 'f16', 4],
] as const)(
  'a GPU gets %s bits as they are stored and converts them to %s; a CPU gets them converted',
  async (stored, dtype, bytes) => {
    const [large, small] = [4 * 2 ** 20 + 2 ** 16, 999];
    const data = stored === 'F16' ? new Uint16Array(large).fill(0x3c00) : new Float32Array(large).fill(1);
    const chunks = safetensorsChunks([
      { name: 'large', dtype: stored, shape: [large], data },
      { name: 'small', dtype: stored, shape: [small], data: data.subarray(0, small) },
    ]);
    const file = await openSafetensors(memoryBytes(Uint8Array.from(Buffer.concat([...chunks])), 'file'));
    const load = async (software: boolean, names: readonly string[], compiled?: Promise<unknown>) => {
      const spy = await openSpiedDevice({
        features: ['shader-f16'],
        software,
        ...(compiled && { compiled }),
      });
      const g = new Graph();
      for (const name of names) g.weight(name, dtype, file.tensors.get(name)!.shape);
      const store = new BufferStore(spy.gpu);
      await loadWeights(g, store, [file]);
      expect(spy.gpu.allocatedBytes, 'only the weights stay').toBe(store.bytes);
      return spy;
    };
    const sizes = (spy: SpiedDevice) => spy.calls.flatMap(({ data }) => (data ? [data.length] : []));
    const kept = dtype === 'f16' ? 2 : 4;
    const smallBytes = kept * (dtype === 'f16' ? small + 1 : small);
    const gpu = await load(false, ['large', 'small']);
    expect(sizes(gpu)).toEqual([4 * 2 ** 20 * bytes, 2 ** 16 * bytes, smallBytes]);
    expect([gpu.count('pipeline'), gpu.count('dispatch')]).toEqual([1, 2]);
    const cpu = await load(true, ['large', 'small']);
    expect(sizes(cpu)).toEqual([4 * 2 ** 20 * kept, 2 ** 16 * kept, smallBytes]);
    expect(cpu.count('pipeline')).toBe(0);
    if (dtype === 'f16') {
      const { buffer } = cpu.calls.findLast(({ data }) => data)!.data!;
      expect([...new Uint16Array(buffer).subarray(-2)], 'a zero fills the last word').toEqual([0x3c00, 0]);
    }
    // Too little to be worth a kernel.
    expect((await load(false, ['small'])).count('pipeline')).toBe(0);
    // A driver that cannot compile it is no reason to refuse the weights.
    const refused = Promise.reject(new Error('no such driver'));
    refused.catch(() => {});
    const broken = await load(false, ['large', 'small'], refused);
    expect([sizes(broken), broken.count('dispatch')]).toEqual([sizes(cpu), 0]);
  },
);

test.each([
  ['f32', 'f32', Number.POSITIVE_INFINITY, 3.4028234663852886e38],
  ['f32', 'f32', Number.NaN, -3.4028234663852886e38],
  ['f32', 'f16', -65536, -65504],
  ['f16', 'f16', Number.NEGATIVE_INFINITY, 65504],
] as const)(
  'wherever it stands, of %s kept in %s, %d is refused and %d is not',
  async (stored, kept, bad, good) => {
    for (const count of [1, 2, 3, 4, 5, 7, 8, 9, 14, 15]) {
      for (let at = 0; at < count; at++) {
        const fileWith = (value: number) => {
          const values = new Float32Array(count).fill(good).fill(value, at, at + 1);
          const data = stored === 'f16' ? encodeF16(values) : values;
          const dtype = stored === 'f16' ? 'F16' : 'F32';
          const chunks = safetensorsChunks([{ name: 'a', dtype, shape: [count], data }]);
          return openSafetensors(memoryBytes(Uint8Array.from(Buffer.concat([...chunks])), 'file'));
        };
        await expect(fileWith(bad).then((file) => upload(file, kept, 'a'))).rejects.toThrow(`a holds ${bad}`);
        expect(await fileWith(good).then((file) => upload(file, kept, 'a'))).toHaveLength(1);
      }
    }
  },
);

test('bits that begin between two words are checked like others', async () => {
  for (const [at, bad] of [
    [0, 0x7c00],
    [3, 0xffff],
    [8, 0xfc00],
  ] as const) {
    const values = new Uint16Array(10).fill(0x3c00).fill(bad, at + 1, at + 2);
    const source: TensorSource = {
      ...(await fileOf(halves)),
      tensors: new Map([['a', { name: 'a', dtype: 'F16', shape: [9] }]]),
      readHalves: async () => values.subarray(1),
    };
    await expect(upload(source, 'f16', 'a')).rejects.toThrow('a holds');
    values.fill(0x3c00);
    expect(await upload(source, 'f16', 'a')).toHaveLength(1);
  }
});

test('a file reads into what the loader gave back, and nobody else sees it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mla-lp-'));
  try {
    const path = join(folder, 'weights.safetensors');
    const size = 2 ** 20;
    const tensors = Array.from({ length: 16 }, (_, i) => ({
      name: `w${i}`,
      dtype: 'F32' as const,
      shape: [size],
      data: new Float32Array(size).fill(i + 1),
    }));
    await writeFile(path, Buffer.concat([...safetensorsChunks(tensors)]));
    const file = await openSafetensors(await fileBytes(path));
    const seen: Float32Array[] = [];
    const watched: TensorSource = {
      ...file,
      async read(...range) {
        const values = await file.read(...range);
        seen.push(values);
        return values;
      },
    };
    const kept = await file.read('w0');
    const written = await upload(watched, 'f32', ...tensors.map(({ name }) => name));
    const firsts = written.map((data) => [...new Set(new Float32Array(data.buffer))]);
    expect(firsts).toEqual(tensors.map((_, i) => [i + 1]));
    // Read ahead of the first write: those alone are new.
    expect(new Set(seen.map(({ buffer }) => buffer)).size).toBeLessThan(tensors.length);
    expect(new Set(kept)).toEqual(new Set([1]));
    expect(new Set(await file.read('w3'))).toEqual(new Set([4]));
    await file.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('tensors are read ahead, a bounded way, and no read outlives a refusal', async () => {
  const size = 2 ** 20;
  const names = Array.from({ length: 40 }, (_, i) => `w${i}`);
  let pending = 0;
  let most = 0;
  const source: TensorSource = {
    label: 'slow',
    metadata: new Map(),
    tensors: new Map(names.map((name) => [name, { name, dtype: 'F32', shape: [size] }])),
    async read(name, start = 0, end = size) {
      most = Math.max(most, ++pending);
      await new Promise((done) => setTimeout(done, 1));
      pending--;
      const values = new Float32Array(end - start);
      if (name === 'w20') values[5] = Number.NaN;
      return values;
    },
    async close() {},
  };
  const spy = await openSpiedDevice();
  const g = new Graph();
  for (const name of names) g.weight(name, 'f32', [size]);
  await expect(loadWeights(g, new BufferStore(spy.gpu), [source])).rejects.toThrow('w20 holds NaN');
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(8);
  expect(pending).toBe(0);
});
