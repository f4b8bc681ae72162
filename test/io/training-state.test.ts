import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { memoryBytes } from '../../src/io/bytes';
import { openCheckpoint } from '../../src/io/checkpoint';
import { openSafetensors } from '../../src/io/safetensors';
import { modelChunks, readTrainingState, trainingStateChunks } from '../../src/io/training-state';
import { safetensorsChunks } from '../../src/io/write-safetensors';
import { readClipConfig } from '../../src/model/clip-config';
import { syntheticClip } from '../../src/model/synthetic';
import { elementCount } from '../../src/model/tensor-source';
import { BadFileError, OptionError, ShapeError, ValueError } from '../../src/runtime/errors';
import type { TrainingState } from '../../src/training/state';

const join = (chunks: Iterable<Uint8Array>) => Uint8Array.from(Buffer.concat([...chunks]));
const open = (bytes: Uint8Array, label = 'state') => openSafetensors(memoryBytes(bytes, label));
const read = async (bytes: Uint8Array) => readTrainingState(await open(bytes));
const tensor = (shape: number[], from = 0) => ({
  shape,
  values: Float32Array.from({ length: elementCount(shape) }, (_, i) => (from + i) / 7),
});

function small(): TrainingState {
  return {
    parameters: new Map([
      ['b', tensor([2, 8])],
      ['a', tensor([3], 5)],
      ['10', tensor([], 9)],
      ['9', tensor([0, 4])],
    ]),
    slots: new Map([
      ['adam.v.b', tensor([2, 8], 2)],
      ['adam.m.b', tensor([2, 8], 1)],
    ]),
    metadata: new Map([
      ['step', '20'],
      ['format', 'mla-lp-training'],
      ['config', JSON.stringify({ rate: 1e-4, name: 'Größe "x"\n' })],
    ]),
  };
}

/** As Map, order aside. */
const sorted = (state: TrainingState) =>
  [state.parameters, state.slots, state.metadata].map((map) =>
    [...(map as ReadonlyMap<string, unknown>)].sort(([a], [b]) => (a < b ? -1 : 1)),
  );

test('what is written is read again, bit for bit', async () => {
  expect(sorted(await read(join(trainingStateChunks(small()))))).toEqual(sorted(small()));
  const odd = Float32Array.of(-0, 1e-45, -3.4028234663852886e38, 2 ** -126);
  const state = { ...small(), parameters: new Map([['x', { shape: [4], values: odd }]]) };
  const values = (await read(join(trainingStateChunks(state)))).parameters.get('x')!.values;
  expect(Buffer.from(values.buffer).equals(Buffer.from(odd.buffer))).toBe(true);
});

test('the same state gives the same file, whatever the order of its maps', async () => {
  const hash = (state: TrainingState) =>
    createHash('sha256')
      .update(join(trainingStateChunks(state)))
      .digest('hex');
  const { parameters, slots, metadata } = small();
  const reversed = {
    parameters: new Map([...parameters].reverse()),
    slots: new Map([...slots].reverse()),
    metadata: new Map([...metadata].reverse()),
  };
  expect(hash(reversed)).toBe(hash(small()));
  expect(hash(await read(join(trainingStateChunks(small()))))).toBe(hash(small()));
  const source = await open(join(trainingStateChunks(small())));
  expect([...source.tensors.keys()]).toEqual(['10', '9', 'a', 'b', 'slots.adam.m.b', 'slots.adam.v.b']);
  expect(source.metadata.get('crc32')).toMatch(/^\{"10":\d+,"9":0,"a":\d+,"b":/);
  // A state that never changes its form unseen: files of older versions must stay readable.
  expect(hash(small())).toMatchInlineSnapshot(
    `"1b46d328ea38814f75feeb63d11cbd3eeab1de36f2213138d7659d38ad9a8cd0"`,
  );
});

test('views of larger buffers are written as what they show', async () => {
  const values = new Float32Array(10).fill(7).subarray(3, 5);
  values.set([1, 2]);
  const state = { ...small(), parameters: new Map([['v', { shape: [2], values }]]) };
  expect([...(await read(join(trainingStateChunks(state)))).parameters.get('v')!.values]).toEqual([1, 2]);
});

test('every single flipped bit is noticed', { timeout: 60_000 }, async () => {
  const good = join(trainingStateChunks(small()));
  const wanted = JSON.stringify(sorted(await read(good)));
  const missed: number[] = [];
  for (let bit = 0; bit < good.length * 8; bit++) {
    good[bit >> 3]! ^= 1 << (bit & 7);
    try {
      if (JSON.stringify(sorted(await read(good))) !== wanted) missed.push(bit);
    } catch (error) {
      if (!(error instanceof BadFileError)) throw error;
    }
    good[bit >> 3]! ^= 1 << (bit & 7);
  }
  expect(missed).toEqual([]);
});

test('damage is named', async () => {
  const good = join(trainingStateChunks(small()));
  const last = Uint8Array.from(good);
  last[last.length - 1]! ^= 4;
  await expect(read(last)).rejects.toThrow(/^state: the tensor "slots\.adam\.v\.b" is damaged: CRC-32/);
  const replaced = (from: string, to: string) => {
    const text = Buffer.from(good).toString('latin1');
    expect(text).toContain(from);
    return Uint8Array.from(Buffer.from(text.replace(from, to), 'latin1'));
  };
  await expect(read(replaced('"step":"20"', '"step":"21"'))).rejects.toThrow(/header is damaged/);
  await expect(read(replaced('"shape":[2,8]', '"shape":[8,2]'))).rejects.toThrow(/header is damaged/);
  await expect(read(replaced('"dtype":"F32"', '"dtype":"I32"'))).rejects.toThrow(/is I32, not F32/);
  await expect(read(replaced('"crc32":', '"crc33":'))).rejects.toThrow(/header is damaged/);
  await expect(read(replaced('"digest":', '"digesd":'))).rejects.toThrow(/header is damaged/);
  for (const cut of [1, 100, good.length - 20])
    await expect(read(good.slice(0, -cut))).rejects.toThrow(BadFileError);
});

test('a checkpoint from elsewhere is refused with a remedy', async () => {
  const init = Uint8Array.from(readFileSync(new URL('../fixtures/tiny/init.safetensors', import.meta.url)));
  const error = await read(init).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(BadFileError);
  expect((error as BadFileError).message).toMatch(/no state of a training run.*cannot be resumed/);
});

test('checksums that do not fit the tensors, under a right digest', async () => {
  // Written by hand: the state's own writer cannot make these.
  const forge = async (checksums: string) => {
    const { crc32 } = await import('../../src/runtime/crc32');
    const text = JSON.stringify([[['crc32', checksums]], [['a', [1]]]]);
    const digest = crc32(new TextEncoder().encode(text)).toString(16).padStart(8, '0');
    const metadata = new Map([
      ['crc32', checksums],
      ['digest', digest],
    ]);
    const data = Float32Array.of(0);
    return join(safetensorsChunks([{ name: 'a', dtype: 'F32', shape: [1], data }], metadata));
  };
  expect((await read(await forge('{"a":558161692}'))).parameters.size).toBe(1);
  await expect(read(await forge('{"a":558161692,"b":1}'))).rejects.toThrow(/"b" is missing/);
  await expect(read(await forge('{"__proto__":558161692}'))).rejects.toThrow(/"__proto__" is missing/);
  for (const none of ['{}', 'null', '5', '[]', '{"a":"558161692"}'])
    await expect(read(await forge(none)), none).rejects.toThrow(/"a" is damaged: .*instead of none/);
  await expect(read(await forge('{"a":'))).rejects.toThrow(/checksums are damaged/);
});

test('nothing that diverged or cannot be read again is written', () => {
  const bad = (patch: Partial<TrainingState>) => () => join(trainingStateChunks({ ...small(), ...patch }));
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const values = Float32Array.of(1, value);
    expect(bad({ parameters: new Map([['p', { shape: [2], values }]]) })).toThrow(ValueError);
    expect(bad({ slots: new Map([['adam.m.p', { shape: [2], values }]]) })).toThrow(
      /slots\.adam\.m\.p is not saved: its element 1/,
    );
  }
  const values = Float32Array.of(1, 2);
  expect(bad({ parameters: new Map([['p', { shape: [3], values }]]) })).toThrow(ShapeError);
  expect(bad({ parameters: new Map([['slots.x', { shape: [2], values }]]) })).toThrow(ShapeError);
  for (const key of ['crc32', 'digest', 'half \ud800'])
    expect(bad({ metadata: new Map([[key, '']]) }), key).toThrow(OptionError);
});

test('any names and metadata survive', async () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 12 });
  const names = fc.uniqueArray(text, { maxLength: 5 });
  const run = fc.asyncProperty(names, fc.dictionary(text, text), async (keys, pairs) => {
    const parameters = new Map(
      keys
        .filter((key) => key !== '__metadata__' && !key.startsWith('slots.'))
        .map((key) => [key, tensor([2])]),
    );
    const metadata = new Map(Object.entries(pairs).filter(([key]) => key !== 'crc32' && key !== 'digest'));
    const state = { parameters, slots: parameters, metadata };
    expect(sorted(await read(join(trainingStateChunks(state))))).toEqual(sorted(state));
  });
  await fc.assert(run, { numRuns: 200 });
});

test('the model, and a state with slots, load as a checkpoint', async () => {
  const init = await open(
    Uint8Array.from(readFileSync(new URL('../fixtures/tiny/init.safetensors', import.meta.url))),
  );
  const parameters = new Map<string, ReturnType<typeof tensor>>();
  const slots = new Map<string, ReturnType<typeof tensor>>();
  for (const { name, shape } of init.tensors.values()) {
    parameters.set(name, { shape: [...shape], values: await init.read(name) });
    slots.set(`adam.m.${name}`, tensor([...shape]));
  }
  const state = { parameters, slots, metadata: new Map([['step', '3']]) };
  const config = readClipConfig(syntheticClip('tiny'));
  const model = join(modelChunks(state));
  for (const bytes of [model, join(trainingStateChunks(state))]) {
    const { source, stages, hasPrompts } = openCheckpoint(await open(bytes), config);
    expect([stages, hasPrompts]).toEqual([4, true]);
    expect([...source.tensors.keys()].sort()).toEqual([...init.tensors.keys()].sort());
    for (const name of parameters.keys()) expect(await source.read(name)).toEqual(await init.read(name));
  }
  const again = await read(model);
  expect(again.slots.size).toBe(0);
  expect(again.metadata.get('step')).toBe('3');
});
