import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type ByteSource, memoryBytes } from '../../src/io/bytes';
import { asClipWeights } from '../../src/io/clip-names';
import { openWeights } from '../../src/io/open-weights';
import { safetensorsChunks } from '../../src/io/write-safetensors';
import { BadFileError } from '../../src/runtime/errors';

const folder = new URL('../fixtures/weights/', import.meta.url);
let opened = 0;

/** Bytes in memory that count whether they are closed. */
function counted(bytes: Uint8Array<ArrayBuffer>, label: string): ByteSource {
  opened++;
  const close = async () => {
    opened--;
  };
  return { ...memoryBytes(bytes, label), close };
}

const fixture = (name: string) => counted(Uint8Array.from(readFileSync(new URL(name, folder))), name);
const ascii = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

test.each(['openai-jit.pt', 'openai-state.pt', 'hf.safetensors', 'sharded/model.safetensors.index.json'])(
  '%s holds the CLIP of openai.safetensors',
  async (name) => {
    const wanted = asClipWeights(await openWeights(fixture('openai.safetensors')));
    const found = asClipWeights(
      await openWeights(fixture(name), async (shard) => fixture(`sharded/${shard}`)),
    );
    expect([...found.tensors.keys()].sort()).toEqual([...wanted.tensors.keys()].sort());
    for (const [key, { shape }] of wanted.tensors) {
      expect(found.tensors.get(key)!.shape, key).toEqual(shape);
      const [a, b] = await Promise.all([found.read(key), wanted.read(key)]);
      expect(Buffer.compare(Buffer.from(a.buffer), Buffer.from(b.buffer)), key).toBe(0);
    }
    await found.close();
    await wanted.close();
    expect(opened).toBe(0);
  },
);

const tar = `${'\0'.repeat(257)}ustar${'\0'.repeat(250)}`;

test.each<[string, string, RegExp]>([
  ['nothing', '', /it is empty/],
  [
    'a bare pickle',
    '\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.',
    /bare pickle.*torch\.save/,
  ],
  ['a tar archive', tar, /tar archive/],
  ['a web page', '\n<!DOCTYPE html><html><body>404</body></html>', /web page/],
  ['an XML error', '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', /web page/],
  ['a pointer of Git LFS', 'version https://git-lfs.github.com/spec/v1\noid sha256:00\n', /git lfs pull/],
  ['gzip', '\x1f\x8b\x08\0\0\0\0\0\0\x03', /gzip/],
  ['HDF5', '\x89HDF\r\n\x1a\n', /HDF5/],
  ['a text', 'Hello, this is not a model.', /text, not weights/],
  ['a PNG', '\x89PNG\r\n\x1a\n\0\0\0\rIHDR', /an image, not weights/],
  ['an index whose shards cannot be found', '{"weight_map": {"a": "b"}}', /an index; its shards/],
  ['a zip cut short', 'PK\x03\x04', /it/],
  ['two bytes', '{}', /an index/],
])('refused and closed: %s', async (_, text, message) => {
  const error = await openWeights(counted(ascii(text), 'weights.bin')).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(BadFileError);
  expect((error as BadFileError).message).toMatch(message);
  expect((error as BadFileError).message).toContain('weights.bin');
  expect(opened).toBe(0);
});

test('a JSON file that is no index, and a shard that is one', async () => {
  const sibling = async () => counted(ascii('{"weight_map": {"a": "b"}}'), 'b');
  await expect(openWeights(counted(ascii('{"a": 1}'), 'x.json'), sibling)).rejects.toThrow(/no weight_map/);
  await expect(openWeights(counted(ascii('{"weight_map":{"a":"b"}}'), 'x.json'), sibling)).rejects.toThrow(
    /b: it is JSON, not weights/,
  );
  expect(opened).toBe(0);
});

test.each([0x280, 0x8b1f, 0x7b, 0x5b5b])(
  'a safetensors header of %i bytes is no pickle, gzip or JSON',
  async (length) => {
    const tensors = [{ name: 'a', dtype: 'U8' as const, shape: [1], data: Uint8Array.of(5) }];
    const [header, data] = [...safetensorsChunks(tensors)] as [Uint8Array, Uint8Array];
    const file = new Uint8Array(8 + length + 1).fill(0x20);
    file.set(header);
    file.set(data, 8 + length);
    new DataView(file.buffer).setBigUint64(0, BigInt(length), true);
    const source = await openWeights(counted(file, 'a.safetensors'));
    expect([...(await source.read('a'))]).toEqual([5]);
    await source.close();
  },
);
