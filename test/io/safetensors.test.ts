import { expect, test } from 'vitest';
import { type ByteSource, memoryBytes } from '../../src/io/bytes';
import { openSafetensors } from '../../src/io/safetensors';
import { safetensorsChunks, type TensorToWrite } from '../../src/io/write-safetensors';
import { BadFileError } from '../../src/runtime/errors';
import { encodeF16 } from '../../src/runtime/float16';

function joined(chunks: Iterable<Uint8Array>): Uint8Array<ArrayBuffer> {
  return new Uint8Array([...chunks].flatMap((chunk) => [...chunk]));
}

function file(header: string | Uint8Array, data = 0, length?: bigint): Uint8Array<ArrayBuffer> {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + text.length + data);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const open = (bytes: Uint8Array<ArrayBuffer>) => openSafetensors(memoryBytes(bytes, 'x.safetensors'));

async function refusal(bytes: Uint8Array<ArrayBuffer>): Promise<BadFileError> {
  const outcome = await open(bytes).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(BadFileError);
  const error = outcome as BadFileError;
  expect(error.message).toContain('x.safetensors');
  expect(error.remedy).not.toBe('');
  return error;
}

const entry = (span: string, shape = '[1]', dtype = '"F32"') =>
  `{"dtype":${dtype},"shape":${shape},"data_offsets":${span}}`;
const GOOD = `{"a":${entry('[0,4]')},"b":${entry('[4,8]')}}`;

test.each<[string, Uint8Array<ArrayBuffer>, RegExp, number?]>([
  ['empty', new Uint8Array(0), /it is empty/],
  ['shorter than a length', new Uint8Array(7), /too short/],
  ['a length beyond the file', file('{}', 0, 3n), /10 bytes, but claims a safetensors header of 3/, 0],
  ['a length of 2^63', file('{}', 0, 2n ** 63n), /claims a safetensors header of 9223372036854775808/, 0],
  ['a header above the cap', file(new Uint8Array(16 * 2 ** 20 + 1)), /16777217 bytes is larger/, 0],
  ['an empty header', file(''), /does not begin with \{/, 8],
  ['a header that is a list', file('[]'), /does not begin with \{/, 8],
  ['white space before {', file(' {}'), /does not begin with \{/, 8],
  ['bad UTF-8', file(new Uint8Array([0x7b, 0x22, 0x61, 0xff, 0x22])), /is not UTF-8/, 11],
  ['UTF-8 cut short', file(new Uint8Array([0x7b, 0x22, 0xc3])), /is not UTF-8/],
  ['a byte order mark', file('\ufeff{}'), /byte order mark/, 8],
  ['JSON cut short', file(GOOD.slice(0, -1), 8), /ends too early/, 8 + GOOD.length - 1],
  ['JSON cut in a string', file('{"a'), /ends inside a string/, 9],
  ['a wrong escape', file(`{"\\x":${entry('[0,4]')}}`, 4), /wrong escape/, 10],
  ['half a surrogate pair', file(`{"\\ud800":${entry('[0,4]')}}`, 4), /surrogate/],
  ['a control character', file(`{"a\n":${entry('[0,4]')}}`, 4), /control character/, 11],
  ['a second object', file('{}{}'), /goes on/, 10],
  ['a comma at the end', file(`{"a":${entry('[0,4]')},}`, 4), /lacks a "/],
  ['a key twice', file(`{"a":${entry('[0,4]')},"a":${entry('[4,8]')}}`, 8), /"a" twice/, 62],
  ['a key twice, once escaped', file(`{"a":${entry('[0,4]')},"\\u0061":${entry('[4,8]')}}`, 8), /"a" twice/],
  ['__metadata__ twice', file('{"__metadata__":{},"__metadata__":{}}'), /__metadata__ twice/],
  ['a metadata key twice', file('{"__metadata__":{"k":"1","k":"2"}}'), /metadata key "k" twice/],
  ['metadata that is a number', file('{"__metadata__":{"k":1}}'), /metadata "k" that is no string/],
  ['metadata that is null', file('{"__metadata__":null}'), /lacks a \{/],
  ['overlap', file(`{"a":${entry('[0,4]')},"b":${entry('[2,6]')}}`, 6), /"b" overlaps/],
  ['the same bytes twice', file(`{"a":${entry('[0,4]')},"b":${entry('[0,4]')}}`, 4), /overlaps/],
  ['a hole', file(`{"a":${entry('[0,4]')},"b":${entry('[5,9]')}}`, 9), /a hole lies before "b"/],
  ['a hole at the start', file(`{"a":${entry('[1,5]')}}`, 5), /a hole lies before "a"/],
  ['trailing bytes', file(GOOD, 9), /bytes follow the last tensor/, 8 + GOOD.length + 8],
  ['trailing bytes of no tensors', file('{}', 1), /bytes follow/, 10],
  ['data cut short', file(GOOD, 7), /the tensor "b" ends at/],
  ['a span that is too long', file(`{"a":${entry('[0,8]')}}`, 8), /\[0, 8\), its shape needs 4/],
  ['a span that ends before it begins', file(`{"a":${entry('[4,0]')}}`, 4), /its shape needs 4/],
  [
    'a product that overflows to a small one',
    file(`{"a":${entry('[0,4]', '[4194305,4194305,211106198978564]')}}`, 4),
    /more than 2\^53/,
  ],
  ['a negative offset', file(`{"a":${entry('[-4,0]')}}`, 4), /an offset that is no whole number/],
  ['a float offset', file(`{"a":${entry('[0,4.0]')}}`, 4), /an offset that is no whole number/],
  ['an exponent', file(`{"a":${entry('[0,4e0]')}}`, 4), /an offset that is no whole number/],
  ['a leading zero', file(`{"a":${entry('[0,04]')}}`, 4), /an offset that is no whole number/],
  ['an offset of 2^53', file(`{"a":${entry('[9007199254740992,9007199254740996]')}}`, 4), /2\^53 or more/],
  ['an offset that doubles round', file(`{"a":${entry('[0,9007199254740993]')}}`, 4), /2\^53 or more/],
  ['three offsets', file(`{"a":${entry('[0,4,4]')}}`, 4), /more than 2/],
  ['one offset', file(`{"a":${entry('[0]')}}`, 4), /lacks dtype, shape or two/],
  ['a rank of 65', file(`{"a":${entry('[0,4]', `[${Array(65).fill(1)}]`)}}`, 4), /more than 64/],
  ['a shape that is no list', file(`{"a":${entry('[0,4]', '1')}}`, 4), /lacks a \[/],
  ['an unknown dtype', file(`{"a":${entry('[0,4]', '[1]', '"F31"')}}`, 4), /unknown dtype "F31"/],
  ['a dtype of Object.prototype', file(`{"a":${entry('[0,4]', '[1]', '"toString"')}}`, 4), /unknown dtype/],
  ['a dtype that is null', file(`{"a":${entry('[0,4]', '[1]', 'null')}}`, 4), /lacks a "/],
  ['no dtype', file('{"a":{"shape":[1],"data_offsets":[0,4]}}', 4), /lacks dtype/],
  ['a field twice', file('{"a":{"shape":[1],"shape":[1]}}', 4), /repeated key "shape"/],
  ['an unknown field', file('{"a":{"strides":[1]}}', 4), /repeated key "strides"/],
  ['deep nesting', file(`{"a":${'['.repeat(100000)}`), /lacks a \{/],
])('refused: %s', async (_, bytes, message, offset) => {
  const error = await refusal(bytes);
  expect(error.fact).toMatch(message);
  if (offset !== undefined) expect(error.offset).toBe(offset);
});

test('800,000 entries: 55 MB of header are refused unread, what fits the cap is quick', async () => {
  const length = 55_333_341;
  const reads: number[] = [];
  const big: ByteSource = {
    label: 'x.safetensors',
    size: 8 + length + 4 * 800_000,
    async read(offset, count) {
      reads.push(offset, count);
      return file('', count - 8, BigInt(length));
    },
    close: async () => {},
  };
  await expect(openSafetensors(big)).rejects.toThrow(/of 55333341 bytes is larger/);
  expect(reads).toEqual([0, 8]);
  const rows = Array.from({ length: 200_000 }, (_, i) => `"${i}":${entry(`[${4 * i},${4 * i + 4}]`)}`);
  const most = file(`{${rows}}`, 800_000);
  const start = performance.now();
  const source = await open(most);
  // Against hanging; a busy machine may take its time.
  expect(performance.now() - start).toBeLessThan(20_000);
  expect(source.tensors.size).toBe(200_000);
});

test('names of Object.prototype are ordinary', async () => {
  const source = await open(file(`{"__proto__":${entry('[0,4]')},"constructor":${entry('[4,8]')}}`, 8));
  expect([...source.tensors.keys()]).toEqual(['__proto__', 'constructor']);
  expect([...(await source.read('__proto__'))]).toEqual([0]);
  await expect(source.read('toString')).rejects.toThrow(BadFileError);
});

test('a byte order mark in a name is a part of it', async () => {
  const source = await open(file(`{"\ufeffa":${entry('[0,4]')},"a":${entry('[4,8]')}}`, 8));
  expect([...source.tensors.keys()]).toEqual(['\ufeffa', 'a']);
});

test('a name cannot steer the terminal', async () => {
  const error = await refusal(file(`{"\\u001b[2J\u009b\u202e":${entry('[0,8]')}}`, 8));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
  expect(error.message).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
});

test('accepted: padding, white space, escapes, no tensors, empty tensors, scalars', async () => {
  expect((await open(file('{}'))).tensors.size).toBe(0);
  const empty = entry('[4,4]', '[2,0,9007199254740991]');
  const source = await open(file(`{ "s" :\t${entry('[0,4]', '[]')},\n"\\u00e9":${empty}}   `, 4));
  expect([...source.tensors.values()].map(({ name, shape }) => [name, shape.length])).toEqual([
    ['s', 0],
    ['é', 3],
  ]);
  expect((await source.read('é')).length).toBe(0);
  expect((await source.read('s')).length).toBe(1);
});

const values = [1, -2.5, 0, 65504, 3];
const bf16 = Uint16Array.from(new Uint32Array(Float32Array.from(values).buffer), (x) => x >>> 16);
const STORED: [TensorToWrite['dtype'], TensorToWrite['data'], number[]][] = [
  ['F32', Float32Array.from(values), values],
  ['F16', encodeF16(Float32Array.from(values)), values],
  // 65504 needs more than bf16's eight bits.
  ['BF16', bf16, [1, -2.5, 0, 65280, 3]],
  ['F64', Float64Array.from([0.1, 1e-50, 2, 3]), [Math.fround(0.1), 0, 2, 3]],
  ['BOOL', Uint8Array.of(0, 1, 1), [0, 1, 1]],
  ['U8', Uint8Array.of(0, 255), [0, 255]],
  ['I8', Int8Array.of(-128, 127), [-128, 127]],
  ['U16', Uint16Array.of(0, 65535), [0, 65535]],
  ['I16', Int16Array.of(-32768, 7), [-32768, 7]],
  ['U32', Uint32Array.of(16777216, 4), [16777216, 4]],
  ['I32', Int32Array.of(-16777216, 4), [-16777216, 4]],
  ['U64', BigUint64Array.of(2n ** 63n, 4n), [2 ** 63, 4]],
  ['I64', BigInt64Array.of(-(2n ** 62n), -4n), [-(2 ** 62), -4]],
];

test('what is written is read again: every dtype, whole and by range, at any alignment', async () => {
  const tensors = STORED.map(([dtype, data, want]) => ({ name: dtype, dtype, shape: [want.length], data }));
  const odd = { name: 'odd', dtype: 'U8' as const, shape: [1, 1], data: Uint8Array.of(9) };
  const bytes = joined(safetensorsChunks([odd, ...tensors], new Map([['made "by"', 'é\n']])));
  const source = await open(bytes);
  expect(source.metadata.get('made "by"')).toBe('é\n');
  for (const [dtype, , want] of STORED) {
    expect([...(await source.read(dtype))], dtype).toEqual(want);
    expect([...(await source.read(dtype, 1, 2))], dtype).toEqual([want[1]]);
    await expect(source.read(dtype, 0, want.length + 1)).rejects.toThrow(BadFileError);
    await expect(source.read(dtype, -1)).rejects.toThrow(BadFileError);
  }
});

test('what a reader gets is its own: writing to it changes no file', async () => {
  const bytes = joined(
    safetensorsChunks([{ name: 'a', dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) }]),
  );
  const source = await open(bytes);
  (await source.read('a')).fill(7);
  expect([...(await source.read('a'))]).toEqual([1, 2]);
});

test('the writer refuses a name twice and data of another size', () => {
  const a = { name: 'a', dtype: 'F32' as const, shape: [1], data: Float32Array.of(1) };
  expect(() => joined(safetensorsChunks([a, a]))).toThrow(/called a/);
  expect(() => joined(safetensorsChunks([{ ...a, shape: [2] }]))).toThrow(/4 bytes, F32 \[2\] takes 8/);
});
