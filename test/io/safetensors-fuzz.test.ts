import fc from 'fast-check';
import { expect, test } from 'vitest';
import { memoryBytes } from '../../src/io/bytes';
import { dtypeSize } from '../../src/io/numbers';
import { openWeights } from '../../src/io/open-weights';
import { openSafetensors } from '../../src/io/safetensors';
import { safetensorsChunks } from '../../src/io/write-safetensors';
import { elementCount, type StoredDtype, type TensorSource } from '../../src/model/tensor-source';
import { BadFileError } from '../../src/runtime/errors';

const DTYPES: StoredDtype[] = ['BOOL', 'U8', 'I16', 'F16', 'BF16', 'F32', 'I64', 'F64'];

const tensor = fc
  .record({
    name: fc.string({ unit: 'grapheme', maxLength: 8 }),
    dtype: fc.constantFrom(...DTYPES),
    shape: fc.array(fc.nat(4), { maxLength: 3 }),
    fill: fc.nat(255),
  })
  .map(({ fill, ...info }) => ({
    ...info,
    data: new Uint8Array(elementCount(info.shape) * dtypeSize(info.dtype)).fill(fill),
  }));
const tensors = fc.uniqueArray(
  tensor.filter(({ name }) => name !== '__metadata__'),
  { maxLength: 4, selector: ({ name }) => name },
);
const metadata = fc
  .array(fc.tuple(fc.string(), fc.string({ unit: 'grapheme' })), { maxLength: 2 })
  .map((pairs) => new Map(pairs));

function whole(chunks: Iterable<Uint8Array>): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([...chunks].flatMap((chunk) => [...chunk]));
}

/** Either a source all of whose tensors can be read and together fill the file, or a BadFileError. */
async function checkOutcome(
  bytes: Uint8Array<ArrayBuffer>,
  open: (source: ReturnType<typeof memoryBytes>) => Promise<TensorSource>,
): Promise<boolean> {
  let source: TensorSource;
  try {
    source = await open(memoryBytes(bytes, 'fuzzed'));
  } catch (error) {
    expect(error).toBeInstanceOf(BadFileError);
    return false;
  }
  let size = 0;
  for (const [name, { dtype, shape }] of source.tensors) {
    const values = await source.read(name);
    expect(values.length).toBe(elementCount(shape));
    size += values.length * dtypeSize(dtype);
  }
  const header = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  expect(8 + header + size).toBe(bytes.length);
  return true;
}

test('whatever is written is read again', async () => {
  await fc.assert(
    fc.asyncProperty(tensors, metadata, async (made, about) => {
      const source = await openSafetensors(memoryBytes(whole(safetensorsChunks(made, about)), 'made'));
      expect([...source.metadata]).toEqual([...about]);
      expect([...source.tensors.values()].map(({ name, dtype, shape }) => ({ name, dtype, shape }))).toEqual(
        made.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
      );
    }),
    { numRuns: 300 },
  );
});

type Mutation = (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>;
const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(place, fc.nat(255)).map(([where, value]): Mutation => {
    return (bytes) => bytes.with(Math.floor(where * bytes.length), value) as Uint8Array<ArrayBuffer>;
  }),
  place.map(
    (where): Mutation =>
      (bytes) =>
        bytes.slice(0, Math.floor(where * bytes.length)),
  ),
  fc.uint8Array({ minLength: 1, maxLength: 4 }).map((more): Mutation => {
    return (bytes) => Uint8Array.from([...bytes, ...more]);
  }),
  // Digits, brackets and quotes among the header's bytes: close to valid, where readers go wrong.
  fc.tuple(place, fc.constantFrom(...'0123456789[]{}",:-.e\\ ')).map(([where, character]): Mutation => {
    return (bytes) => {
      const at = 8 + Math.floor(where * Math.max(1, bytes.length - 8));
      return Uint8Array.from([...bytes.slice(0, at), character.charCodeAt(0), ...bytes.slice(at + 1)]);
    };
  }),
  fc.tuple(place, place, fc.nat(40)).map(([from, to, length]): Mutation => {
    return (bytes) => {
      const copy = bytes.slice();
      const start = Math.floor(from * bytes.length);
      copy.copyWithin(Math.floor(to * bytes.length), start, start + length);
      return copy;
    };
  }),
);

test.each([
  ['openSafetensors', openSafetensors],
  ['openWeights', openWeights],
] as const)('%s: damaged files are refused, or still whole', async (_, open) => {
  const outcomes = { read: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(tensors, fc.array(mutation, { minLength: 1, maxLength: 3 }), async (made, mutations) => {
      const bytes = mutations.reduce(
        (before, mutate) => (before.length > 0 ? mutate(before) : before),
        whole(safetensorsChunks(made)),
      );
      outcomes[(await checkOutcome(bytes, open)) ? 'read' : 'refused']++;
    }),
    { numRuns: 1000 },
  );
  // Neither side of the check may be idle.
  expect(Math.min(outcomes.read, outcomes.refused)).toBeGreaterThan(20);
});

test('bytes of no origin are refused', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (bytes) => {
      await checkOutcome(Uint8Array.from(bytes), openWeights);
    }),
    { numRuns: 300 },
  );
});

test('every byte of a header cut off or set to each bracket is noticed or harmless', async () => {
  const data = Float32Array.of(1, 2);
  const file = whole(
    safetensorsChunks([{ name: 'a', dtype: 'F32', shape: [2, 1], data }], new Map([['k', 'v']])),
  );
  for (let at = 0; at < file.length; at++) {
    expect(await checkOutcome(file.slice(0, at), openSafetensors)).toBe(false);
    for (const character of '{}[]",:0')
      await checkOutcome(file.with(at, character.charCodeAt(0)) as Uint8Array<ArrayBuffer>, openSafetensors);
  }
});
