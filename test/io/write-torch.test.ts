import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { memoryBytes } from '../../src/io/bytes';
import { readCheckpoint, safetensorsCheckpoint, torchCheckpoint } from '../../src/io/convert-checkpoint';
import { openWeights } from '../../src/io/open-weights';
import { BASIC_FUNCTIONS, PickleDict, PickleList, type PickleValue, unpickle } from '../../src/io/pickle';
import { openTorch } from '../../src/io/torch';
import { type Picklable, PyFloat, PyName, PyOrderedDict, pickle } from '../../src/io/write-pickle';
import { safetensorsChunks } from '../../src/io/write-safetensors';
import { TorchFile } from '../../src/io/write-torch';
import { openZip } from '../../src/io/zip';
import type { TensorSource } from '../../src/model/tensor-source';
import { BadFileError, MlaLpError, OptionError, ShapeError, ValueError } from '../../src/runtime/errors';

const folder = mkdtempSync(join(tmpdir(), 'mla-lp-torch-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const path = (name: string) => fileURLToPath(new URL(`../fixtures/weights/${name}`, import.meta.url));
const fixture = (name: string) => openWeights(memoryBytes(readFileSync(path(name)), name));
const joined = (chunks: Iterable<Uint8Array>) => Uint8Array.from(Buffer.concat([...chunks]));
const open = (bytes: Uint8Array, name = 'made.pth') => openWeights(memoryBytes(bytes, name));

async function contentOf(source: TensorSource): Promise<Record<string, { shape: number[]; sha256: string }>> {
  const out: Record<string, { shape: number[]; sha256: string }> = {};
  for (const { name, shape } of source.tensors.values()) {
    const bytes = new Uint8Array((await source.read(name)).buffer);
    out[name] = { shape: [...shape], sha256: createHash('sha256').update(bytes).digest('hex') };
  }
  return out;
}

describe('pickles', () => {
  const rules = {
    functions: BASIC_FUNCTIONS,
    names: new Set(['torch.FloatStorage']),
    isClass: () => false,
    persistent: (id: PickleValue) => id,
  };
  const plain = (value: PickleValue): unknown => {
    if (value instanceof PickleList) return value.items.map(plain);
    if (value instanceof PickleDict) return new Map([...value.entries].map(([k, v]) => [k, plain(v)]));
    return value;
  };
  const expected = (value: Picklable): unknown => {
    if (value instanceof PyFloat) return value.value;
    if (value instanceof PyOrderedDict) return expected(value.entries);
    if (value instanceof Map) return new Map([...value].map(([k, v]) => [k, expected(v)]));
    return Array.isArray(value) ? value.map(expected) : value;
  };
  const read = (value: Picklable) => plain(unpickle(pickle(value), 'made', 0, rules));
  const text = fc.string({ unit: 'grapheme', maxLength: 12 });
  const { tree } = fc.letrec<{ tree: Picklable }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      fc.constantFrom(null, true, false),
      fc.maxSafeInteger(),
      fc.integer({ min: -70_000, max: 70_000 }),
      text,
      fc.double().map((x) => new PyFloat(x)),
      fc.array(tie('tree'), { maxLength: 6 }),
      fc.array(fc.tuple(text, tie('tree')), { maxLength: 6 }).map((pairs) => new Map(pairs)),
      fc
        .array(fc.tuple(text, tie('tree')), { maxLength: 6 })
        .map((pairs) => new PyOrderedDict(new Map(pairs))),
    ),
  }));

  test('what is written is read back: numbers, texts, tuples, dicts in their order', () => {
    fc.assert(
      fc.property(tree, (value) => {
        expect(read(value)).toEqual(expected(value));
      }),
      { numRuns: 300 },
    );
    const integers = [0, 255, 256, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, -1, -(2 ** 31), -(2 ** 31) - 1];
    expect(read(integers)).toEqual(integers);
    expect(Object.is(read(new PyFloat(-0)), -0)).toBe(true);
  });

  test('more than 256 texts: long memo indices', () => {
    const many = Array.from({ length: 600 }, (_, i) => `name ${i}`);
    expect(read([...many, ...many])).toEqual([...many, ...many]);
  });

  test('what a pickle cannot hold is refused', () => {
    expect(() => pickle(0.5)).toThrow(OptionError);
    expect(() => pickle(2 ** 53)).toThrow(OptionError);
    expect(() => pickle('\ud800')).toThrow(OptionError);
  });
});

describe('torch files', () => {
  const values = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { maxLength: 40 });

  test('tensors come back bit for bit, under their names; contents begin at multiples of 64', async () => {
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), values), async (tensors) => {
        const file = new TorchFile();
        const entries = Object.entries(tensors).map(
          ([name, list]) =>
            [name, file.tensor({ shape: [1, list.length], values: Float32Array.from(list) })] as const,
        );
        const bytes = joined(file.chunks(new PyOrderedDict(new Map(entries))));
        const zip = await openZip(memoryBytes(bytes, 'made'));
        for (const entry of zip.entries.values()) expect((await zip.range(entry)).offset % 64).toBe(0);
        if (entries.length === 0) return;
        const source = await openTorch(memoryBytes(bytes, 'made'));
        expect([...source.tensors.keys()]).toEqual(entries.map(([name]) => name));
        for (const [name, list] of Object.entries(tensors)) {
          expect(source.tensors.get(name)).toEqual({ name, dtype: 'F32', shape: [1, list.length] });
          expect(await source.read(name)).toEqual(Float32Array.from(list));
        }
      }),
      { numRuns: 60 },
    );
  });

  test('scalars, empty tensors, views of larger buffers; values that do not fit are refused', async () => {
    const file = new TorchFile();
    const all = Float32Array.from({ length: 8 }, (_, i) => i);
    const value = new Map([
      ['scalar', file.tensor({ shape: [], values: all.subarray(3, 4) })],
      ['none', file.tensor({ shape: [0, 5], values: new Float32Array(0) })],
      ['part', file.tensor({ shape: [2, 2], values: all.subarray(4, 8) })],
    ]);
    const source = await openTorch(memoryBytes(joined(file.chunks(value)), 'made'));
    expect([...(await source.read('scalar'))]).toEqual([3]);
    expect([...(await source.read('none'))]).toEqual([]);
    expect([...(await source.read('part'))]).toEqual([4, 5, 6, 7]);
    expect(() => file.tensor({ shape: [3], values: all })).toThrow(ShapeError);
  });

  test('any byte that changes is refused or changes nothing that is read', async () => {
    const file = new TorchFile();
    const tensor = file.tensor({ shape: [2, 3], values: Float32Array.of(1, 2, 3, 4, 5, 6) });
    const bytes = joined(file.chunks(new Map([['a', tensor]])));
    const right = Float32Array.of(1, 2, 3, 4, 5, 6);
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
        const broken = bytes.slice();
        broken[at] = broken[at]! ^ by;
        try {
          const source = await openTorch(memoryBytes(broken, 'broken'));
          for (const name of source.tensors.keys()) expect(await source.read(name)).toEqual(right);
        } catch (error) {
          expect(error).toBeInstanceOf(MlaLpError);
          refused++;
        }
      }),
      { numRuns: 400 },
    );
    expect(refused).toBeGreaterThan(50);
  });

  test('the same values give the same bytes; other values another serialization id', async () => {
    const make = (last: number) => {
      const file = new TorchFile();
      return joined(file.chunks(file.tensor({ shape: [2], values: Float32Array.of(1, last) })));
    };
    const idOf = async (bytes: Uint8Array) => {
      const zip = await openZip(memoryBytes(bytes, 'made'));
      return Buffer.from(
        await zip.readAll(zip.entries.get('archive/.data/serialization_id')!, 64),
      ).toString();
    };
    expect(make(2)).toEqual(make(2));
    expect(await idOf(make(2))).toMatch(/^\d{40}$/);
    expect(await idOf(make(2))).not.toBe(await idOf(make(3)));
  });
});

describe('checkpoints', () => {
  test('safetensors to MLA-LP’s layout: the names and bits of the authors’ file', async () => {
    const ours = await readCheckpoint(await fixture('mla-lp.safetensors'));
    const exported = await open(joined(torchCheckpoint(ours, 'mla-lp')));
    const authors = await fixture('mla-lp.pth');
    const found = await contentOf(exported);
    expect(found).toEqual(await contentOf(authors));
    expect([...exported.tensors.keys()]).toEqual([...authors.tensors.keys()]);
    expect(Object.fromEntries(exported.metadata)).toEqual({ AUC: '0', pAUC: '0', best: '0', epoch: '0' });
  });

  test('MVFA’s layout; and results of the authors’ file are kept', async () => {
    const theirs = await readCheckpoint(await fixture('mla-lp.pth'));
    expect(Object.fromEntries(theirs.metadata)).toEqual({
      AUC: '0.9',
      pAUC: '0.95',
      best: '1.85',
      epoch: '3',
    });
    const again = await open(joined(torchCheckpoint(theirs, 'mla-lp')));
    expect(again.metadata).toEqual((await fixture('mla-lp.pth')).metadata);
    const adapters = await open(joined(torchCheckpoint(theirs, 'mvfa')));
    const authors = await fixture('mvfa.pth');
    expect(await contentOf(adapters)).toEqual(await contentOf(authors));
    expect([...adapters.tensors.keys()]).toEqual([...authors.tensors.keys()]);
    expect(adapters.metadata.size).toBe(0);
    const bare = await readCheckpoint(authors);
    expect(() => torchCheckpoint(bare, 'mla-lp')).toThrow(OptionError);
  });

  test('there and back is the same file, metadata too', async () => {
    const { tensors, sizes } = await readCheckpoint(await fixture('mla-lp.safetensors'));
    const metadata = new Map([
      ['format', 'mla-lp'],
      ['preset', 'paper'],
      ['imageSize', '240'],
    ]);
    const first = joined(safetensorsCheckpoint({ tensors, metadata, sizes }));
    const torch = joined(torchCheckpoint(await readCheckpoint(await open(first)), 'mla-lp'));
    const second = await readCheckpoint(await open(torch));
    expect(second.metadata).toEqual(metadata);
    expect(Buffer.compare(joined(safetensorsCheckpoint(second)), first)).toBe(0);
  });

  test('a last stage without second matrices gets zeros; NaN and half a checkpoint are refused', async () => {
    const { tensors, sizes } = await readCheckpoint(await fixture('mla-lp.safetensors'));
    const without = new Map([...tensors].filter(([name]) => !name.includes('_adapters.3.fc2')));
    const made = await open(
      joined(torchCheckpoint({ tensors: without, metadata: new Map(), sizes }, 'mvfa')),
    );
    expect(made.tensors.size).toBe(16);
    const last = await made.read('det_adapters.3.fc2.0.weight');
    expect(last.length).toBe(128 * 48);
    expect(last.every((v) => v === 0)).toBe(true);
    const file = (change: (name: string, values: Float32Array) => Float32Array | undefined) =>
      open(
        joined(
          safetensorsChunks(
            [...tensors].flatMap(([name, { shape, values }]) => {
              const data = change(name, values.slice());
              return data ? [{ name, dtype: 'F32' as const, shape, data }] : [];
            }),
          ),
        ),
        'made.safetensors',
      );
    const poisoned = await file((name, values) =>
      name.startsWith('det_adapters.1') ? values.fill(Number.NaN) : values,
    );
    await expect(readCheckpoint(poisoned)).rejects.toThrow(ValueError);
    const half = await file((name, values) => (name === 'seg_adapters.1.fc2.0.weight' ? undefined : values));
    await expect(readCheckpoint(half)).rejects.toThrow(BadFileError);
  });
});

const python = spawnSync('python3', ['-c', 'import sys; print(sys.version_info >= (3, 8))'], {
  encoding: 'utf8',
});

describe.skipIf(python.stdout?.trim() !== 'True')(
  'Python’s own unpickler, restricted to the authors’ names',
  () => {
    interface Loaded {
      begins: Record<string, number>;
      order: string[];
      small: Record<string, string>;
      globals: string[];
      opcodes: string[];
      value: unknown;
    }
    const load = (file: string): Loaded => {
      const script = fileURLToPath(new URL('load_torch.py', import.meta.url));
      const { stdout, stderr } = spawnSync('python3', [script, file], { encoding: 'utf8' });
      expect(stderr).toBe('');
      return JSON.parse(stdout) as Loaded;
    };

    test.each([
      ['mla-lp', { AUC: 0, pAUC: 0, best: 0, epoch: 0 }],
      ['mvfa', {}],
    ] as const)(
      '%s: structure, entries and bookkeeping as torch.save wrote them',
      async (layout, results) => {
        const content = await readCheckpoint(await fixture('mla-lp.safetensors'));
        const file = join(folder, `${layout}.pth`);
        writeFileSync(file, joined(torchCheckpoint(content, layout)));
        const [ours, theirs] = [load(file), load(path(`${layout}.pth`))];
        expect(ours.value).toEqual({ ...(theirs.value as object), ...results });
        expect(ours.order).toEqual(theirs.order);
        for (const at of Object.values(ours.begins)) expect(at % 64).toBe(0);
        const { '.data/serialization_id': id, ...small } = ours.small;
        expect(theirs.small).toMatchObject(small);
        expect(id).toMatch(/^\d{40}$/);
        expect(theirs.globals).toEqual(expect.arrayContaining(ours.globals));
        // Metrics are plain floats here and numpy's there.
        const known = layout === 'mla-lp' ? [...theirs.opcodes, 'BINFLOAT'] : theirs.opcodes;
        expect(known).toEqual(expect.arrayContaining(ours.opcodes));
      },
    );
  },
);

test('a name that no reader allows is refused by ours', () => {
  expect(() =>
    unpickle(pickle(new PyName('os', 'system')), 'made', 0, {
      functions: BASIC_FUNCTIONS,
      names: new Set(),
      isClass: () => false,
      persistent: () => null,
    }),
  ).toThrow('os.system');
});
