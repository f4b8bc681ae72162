import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memoryBytes } from '../../src/io/bytes';
import { openSafetensors } from '../../src/io/safetensors';
import { openTorch } from '../../src/io/torch';
import { elementCount, type TensorSource } from '../../src/model/tensor-source';
import { BadFileError } from '../../src/runtime/errors';
import {
  dict,
  int,
  makeTorch,
  makeZip,
  ops,
  type Part,
  pickle,
  type TensorParts,
  tensor,
  text,
  tuple,
} from './make-torch';

const fixture = (name: string) =>
  memoryBytes(readFileSync(new URL(`../fixtures/weights/${name}`, import.meta.url)), name);

/** vitest compares large arrays element by element, slowly. */
const bits = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

async function expectEqual(torch: TensorSource, twin: TensorSource, prefix = '') {
  const names = [...twin.tensors.keys()].map((name) => prefix + name);
  expect([...torch.tensors.keys()].sort()).toEqual(names.sort());
  for (const name of twin.tensors.keys()) {
    const info = torch.tensors.get(prefix + name)!;
    const { dtype, shape } = twin.tensors.get(name)!;
    expect(info).toEqual({ name: prefix + name, dtype, shape });
    const same = bits(await torch.read(prefix + name)).equals(bits(await twin.read(name)));
    expect(same, name).toBe(true);
  }
}

describe('files that PyTorch wrote', () => {
  it.each(['openai-jit.pt', 'openai-state.pt'])('%s holds what openai.safetensors holds', async (file) => {
    const torch = await openTorch(fixture(file));
    await expectEqual(torch, await openSafetensors(fixture('openai.safetensors')));
    await torch.close();
  });

  it('mla-lp.pth holds what mla-lp.safetensors holds, and the metrics', async () => {
    const torch = await openTorch(fixture('mla-lp.pth'));
    await expectEqual(torch, await openSafetensors(fixture('mla-lp.safetensors')), 'state_dict.');
    expect(Object.fromEntries(torch.metadata)).toEqual({
      AUC: '0.9',
      pAUC: '0.95',
      best: '1.85',
      epoch: '3',
    });
  });

  it('mvfa.pth holds the same adapters', async () => {
    const torch = await openTorch(fixture('mvfa.pth'));
    const twin = await openSafetensors(fixture('mla-lp.safetensors'));
    const adapters = [...twin.tensors].filter(([name]) => name.includes('adapters'));
    await expectEqual(torch, { ...twin, tensors: new Map(adapters) });
  });

  it('reads a part of a tensor', async () => {
    const torch = await openTorch(fixture('openai-state.pt'));
    const whole = await torch.read('token_embedding.weight');
    expect(await torch.read('token_embedding.weight', 100, 164)).toEqual(whole.slice(100, 164));
    expect(await torch.read('token_embedding.weight', 5, 5)).toEqual(new Float32Array(0));
  });
});

const open = (file: Uint8Array) => openTorch(memoryBytes(file, 'some.pt'));
const f32 = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
const range = (length: number) => Array.from({ length }, (_, i) => i);
/** A file of one tensor `w` over the f32 values 0, 1, 2 ... */
const one = (length: number, parts: Partial<TensorParts> & Pick<TensorParts, 'shape' | 'strides'>) =>
  makeTorch(pickle(dict({ w: tensor({ length, ...parts }) })), { 0: f32(...range(length)) });

describe('tensors in their storages', () => {
  it.each<[string, readonly number[], readonly number[], number, readonly number[]]>([
    ['whole', [2, 3], [3, 1], 0, [0, 1, 2, 3, 4, 5]],
    ['a view behind the start', [2, 2], [2, 1], 3, [3, 4, 5, 6]],
    ['transposed', [3, 2], [1, 3], 0, [0, 3, 1, 4, 2, 5]],
    ['every other', [3], [2], 1, [1, 3, 5]],
    ['repeated', [3, 2], [0, 1], 4, [4, 5, 4, 5, 4, 5]],
    ['a scalar', [], [], 5, [5]],
    ['sides of one with any stride', [1, 3, 1], [99, 1, 77], 0, [0, 1, 2]],
    ['permuted', [2, 2, 2], [1, 4, 2], 0, [0, 2, 4, 6, 1, 3, 5, 7]],
    ['empty', [0, 3], [3, 1], 0, []],
  ])('%s', async (_, shape, strides, offset, values) => {
    const source = await open(one(8, { shape, strides, offset }));
    expect(source.tensors.get('w')).toEqual({ name: 'w', dtype: 'F32', shape });
    expect([...(await source.read('w'))]).toEqual(values);
    for (let start = 0; start <= values.length; start++)
      for (let end = start; end <= values.length; end++)
        expect([...(await source.read('w', start, end))]).toEqual(values.slice(start, end));
  });

  it('gathers a large transposed tensor piece by piece', async () => {
    const [rows, columns] = [3000, 3001]; // more than one piece of 2^23
    const values = new Uint8Array(rows * columns).map((_, i) => (i * 7 + (i >> 8)) & 255);
    const parts = {
      type: 'ByteStorage',
      length: values.length,
      shape: [columns, rows],
      strides: [1, columns],
    };
    const inner = memoryBytes(makeTorch(pickle(dict({ w: tensor(parts) })), { 0: values }), 'some.pt');
    let largest = 0;
    const source = await openTorch({
      ...inner,
      read(offset, length) {
        largest = Math.max(largest, length);
        return inner.read(offset, length);
      },
    });
    const read = await source.read('w', 5 * rows, 2500 * rows);
    let wrong = 0;
    for (let i = 0; i < read.length; i++)
      if (read[i] !== values[(i % rows) * columns + 5 + Math.floor(i / rows)]) wrong++;
    expect(wrong).toBe(0);
    expect(largest).toBeLessThanOrEqual(2 ** 23);
  });

  it.each<[string, ArrayBufferView, number[], string, string?]>([
    ['HalfStorage', Uint16Array.of(0x3c00, 0xc000), [1, -2], 'F16'],
    ['BFloat16Storage', Uint16Array.of(0x3f80, 0xc000), [1, -2], 'BF16'],
    ['DoubleStorage', Float64Array.of(1.5, -2), [1.5, -2], 'F64'],
    ['LongStorage', BigInt64Array.of(7n, -8n), [7, -8], 'I64'],
    ['IntStorage', Int32Array.of(7, -8), [7, -8], 'I32'],
    ['ShortStorage', Int16Array.of(7, -8), [7, -8], 'I16'],
    ['CharStorage', Int8Array.of(7, -8), [7, -8], 'I8'],
    ['ByteStorage', Uint8Array.of(7, 200), [7, 200], 'U8'],
    ['BoolStorage', Uint8Array.of(1, 0), [1, 0], 'BOOL'],
    ['UntypedStorage', Uint16Array.of(7, 60_000), [7, 60_000], 'U16', 'torch.uint16'],
  ])('%s', async (type, data, values, dtype, named) => {
    const bytes = new Uint8Array(data.buffer as ArrayBuffer);
    const length = type === 'UntypedStorage' ? bytes.length : 2;
    const parts = { type, length, shape: [2], strides: [1], ...(named && { dtype: named }) };
    const source = await open(makeTorch(pickle(dict({ w: tensor(parts) })), { 0: bytes }));
    expect(source.tensors.get('w')!.dtype).toBe(dtype);
    expect([...(await source.read('w'))]).toEqual(values);
  });

  it('names tensors by their path, and keeps what stands beside them', async () => {
    const w = tensor({ length: 1, shape: [1], strides: [1] });
    const parameter = ops(
      'ctorch._utils\n_rebuild_parameter\n',
      tuple(w, ops(0x88), ops('ccollections\nOrderedDict\n', ')R')),
      'R',
    );
    const nested = dict({
      model: dict({ 'a.b': w, list: tuple(w, int(3), w), p: parameter }),
      note: text('hello'),
      epoch: int(3),
      on: ops(0x88),
      vocab_size: w,
    });
    const source = await open(makeTorch(pickle(nested), { 0: f32(1) }));
    expect([...source.tensors.keys()]).toEqual(['model.a.b', 'model.list.0', 'model.list.2', 'model.p']);
    expect(Object.fromEntries(source.metadata)).toEqual({ note: 'hello', epoch: '3' });
  });

  it('reads two tensors of one storage', async () => {
    const parts = { length: 4, shape: [2], strides: [1] };
    const both = pickle(dict({ a: tensor(parts), b: tensor({ ...parts, offset: 2 }) }));
    const source = await open(makeTorch(both, { 0: f32(1, 2, 3, 4) }));
    expect([...(await source.read('b'))]).toEqual([3, 4]);
    await expect(source.read('c')).rejects.toThrow(/no tensor "c"/);
    await expect(source.read('a', 1, 3)).rejects.toThrow(BadFileError);
  });
});

describe('files that lie', () => {
  const w = tensor({ length: 4, shape: [4], strides: [1] });
  const file = (data: Uint8Array, more: Part[] = []) => makeTorch(pickle(data), { 0: f32(1, 2, 3, 4) }, more);
  /** Lists that hold the one before twice: 2^depth paths to the `first`. */
  const doubling = (depth: number, first: Uint8Array) =>
    ops(first, 'q', 0, ...range(depth).map((i) => ops(']', 'q', i + 1, 'h', i, 'a', 'h', i, 'a')));
  it.each<[string, Uint8Array, RegExp]>([
    ['empty', new Uint8Array(0), /is empty/],
    ['a bare pickle', pickle(dict({ w })), /bare pickle.*Save it again/],
    [
      'a tar',
      Uint8Array.from({ length: 600 }, (_, i) => 'ustar'.charCodeAt(i - 257) || 0),
      /tar archive.*Save it again/,
    ],
    ['no zip', f32(1, 2, 3), /no zip archive/],
    ['no data.pkl', makeZip([{ name: 'archive/DATA.PKL', data: pickle(dict({ w })) }]), /without data\.pkl/],
    ['two of them', file(dict({ w }), [{ name: 'b/data.pkl', data: pickle() }]), /two folders/],
    ['a damaged pickle', makeZip([{ name: 'a/data.pkl', data: pickle(dict({ w })), crc: 5 }]), /CRC-32/],
    [
      'a big-endian machine',
      file(dict({ w }), [{ name: 'archive/byteorder', data: 'big' }]),
      /byte order is "big"/,
    ],
    ['no tensors', file(dict({ epoch: int(3) })), /no named tensors/],
    ['a lone tensor', file(w), /no named tensors/],
    [
      'a missing storage',
      file(dict({ w: tensor({ key: '7', length: 4, shape: [4], strides: [1] }) })),
      /data\/7, which is missing/,
    ],
    [
      'a storage outside',
      file(dict({ w: tensor({ key: '../../x', length: 4, shape: [4], strides: [1] }) })),
      /missing/,
    ],
    [
      'a short storage',
      file(dict({ w: tensor({ length: 5, shape: [4], strides: [1] }) })),
      /20 bytes, but data\/0 has 16/,
    ],
    ['a stride past the storage', one(4, { shape: [2, 2], strides: [3, 1] }), /past its storage of 4/],
    ['an offset past the storage', one(4, { shape: [2], strides: [1], offset: 3 }), /past its storage/],
    ['a negative offset', one(4, { shape: [2], strides: [1], offset: -1 }), /impossible shape/],
    ['a negative stride', one(4, { shape: [2], strides: [-1], offset: 3 }), /impossible shape/],
    ['more sides than strides', one(4, { shape: [2, 2], strides: [1] }), /impossible shape/],
    [
      'a shape whose product overflows',
      one(4, { shape: [4194305, 4194305, 211106198978564], strides: [1, 1, 1] }),
      /past its storage/,
    ],
    ['a value repeated without end', one(4, { shape: [2 ** 40], strides: [0] }), /repeats/],
    [
      'an unknown storage',
      file(dict({ w: tensor({ type: 'QInt8Storage', length: 4, shape: [4], strides: [1] }) })),
      /"torch\.QInt8Storage"/,
    ],
    [
      'bytes without a dtype',
      file(dict({ w: tensor({ type: 'UntypedStorage', length: 16, shape: [4], strides: [1] }) })),
      /without a dtype/,
    ],
    [
      'a tensor of no storage',
      file(dict({ w: ops('ctorch._utils\n_rebuild_tensor_v2\n', tuple(int(1)), 'R') })),
      /without a storage/,
    ],
    [
      'a whole model',
      file(ops('ctorch.nn.modules.linear\nLinear\n', ')', 0x81, '}', 'b')),
      /"torch\.nn\.modules\.linear\.Linear".*state_dict/,
    ],
    ['a call of a module', file(ops('c__torch__.a\nC\n', ')R')), /a call of/],
    ['one name twice', file(dict({ 'a.b': w, a: dict({ b: w }) })), /two tensors "a\.b"/],
    ['a dict that holds itself', file(ops('}', 'q', 0, text('self'), 'h', 0, 's')), /deeper than/],
    ['a memo bomb', file(dict({ bomb: ops('(', doubling(40, ops(']')), 't') })), /more than 500000 values/],
    [
      'a memo bomb of tensors',
      file(dict({ bomb: ops('(', doubling(40, w), 't') })),
      /more than 50000 tensors/,
    ],
    ['a deep nest', file(dict({ deep: ops(']'.repeat(500), 'a'.repeat(499)) })), /deeper than/],
    ['a long name', file(dict({ ['x'.repeat(2000)]: w })), /too long/],
  ])('%s', async (_, bytes, fact) => {
    const start = performance.now();
    const error = await open(bytes).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(BadFileError);
    expect((error as BadFileError).message).toMatch(fact);
    expect((error as BadFileError).message).toMatch(/^some\.pt: /);
    // Against hanging; a busy machine may take its time.
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  it('finds damage in a storage when it is read', async () => {
    const damaged = one(1000, { shape: [1000], strides: [1] });
    const at = Buffer.from(damaged).indexOf(f32(500));
    damaged[at] = damaged[at]! ^ 1;
    const source = await open(damaged);
    await expect(source.read('w')).rejects.toThrow(/CRC-32/);
    await source.read('w', 0, 700);
    await expect(source.read('w', 700)).rejects.toThrow(/CRC-32/);
  });
});

it('changed bytes give the same tensors or a BadFileError, quickly', async () => {
  const file = makeTorch(
    pickle(
      dict({
        a: tensor({ length: 6, shape: [3, 2], strides: [1, 3] }),
        b: tensor({ key: '1', type: 'HalfStorage', length: 6, shape: [6], strides: [1] }),
        epoch: int(3),
      }),
    ),
    { 0: f32(...range(6)), 1: new Uint8Array(12) },
    [{ name: 'archive/byteorder', data: 'little' }],
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      async (changes, mend) => {
        const changed = file.slice();
        for (const [at, value] of changes) changed[at] = value;
        const start = performance.now();
        try {
          const source = await open(mend ? withoutCrcs(changed) : changed);
          for (const { name, shape } of source.tensors.values()) {
            expect(elementCount(shape)).toBeLessThan(2 ** 25);
            await source.read(name);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(BadFileError);
        }
        // Against hanging; a busy machine may take its time.
        expect(performance.now() - start).toBeLessThan(20_000);
      },
    ),
    { numRuns: 1000 },
  );
});

/** The archive with all CRCs 0 (never computed), so that changes reach the pickle's reader. */
function withoutCrcs(archive: Uint8Array): Uint8Array {
  const bytes = Buffer.from(archive);
  for (const [signature, offset] of [
    ['PK\x03\x04', 14],
    ['PK\x01\x02', 16],
  ] as const) {
    for (
      let at = bytes.indexOf(signature, 0, 'latin1');
      at >= 0;
      at = bytes.indexOf(signature, at + 1, 'latin1')
    )
      if (at + offset + 4 <= bytes.length) bytes.writeUInt32LE(0, at + offset);
  }
  return bytes;
}
