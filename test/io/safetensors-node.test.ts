import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { fileBytes } from '../../src/io/node/file-bytes';
import { packagedWeightsFolder, resolveWeights, sidecarHeads } from '../../src/io/node/open-weights';
import { writeFileAtomic } from '../../src/io/node/write-file';
import { openSafetensors } from '../../src/io/safetensors';
import { safetensorsChunks } from '../../src/io/write-safetensors';
import { MlaLpError, OptionError } from '../../src/runtime/errors';

const fixtures = fileURLToPath(new URL('../fixtures/weights/', import.meta.url));
let folder: string;
let cache: string | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mla-lp-test-'));
  cache = process.env.MLA_LP_CACHE;
  process.env.MLA_LP_CACHE = join(folder, 'cache');
  mkdirSync(join(folder, 'cache'));
});
afterEach(() => {
  if (cache === undefined) delete process.env.MLA_LP_CACHE;
  else process.env.MLA_LP_CACHE = cache;
  rmSync(folder, { recursive: true, force: true });
});
const put = (...names: string[]) => {
  for (const name of names) writeFileSync(join(folder, name), name);
};

test('a file is itself, synthetic weights are unchanged', async () => {
  put('x.pt');
  expect(await resolveWeights(join(folder, 'x.pt'))).toBe(join(folder, 'x.pt'));
  expect(await resolveWeights('synthetic:vitl14')).toBe('synthetic:vitl14');
});

test.each([
  [['pytorch_model.bin', 'model.safetensors', 'config.json'], 'model.safetensors'],
  [['model.safetensors.index.json', 'model-00001-of-00002.safetensors'], 'model.safetensors.index.json'],
  [['open_clip_model.safetensors', 'open_clip_pytorch_model.bin'], 'open_clip_model.safetensors'],
  [['open_clip_pytorch_model.bin', 'readme.md'], 'open_clip_pytorch_model.bin'],
  [['pytorch_model.bin'], 'pytorch_model.bin'],
  [['ViT-L-14-336px.pt', 'notes.txt'], 'ViT-L-14-336px.pt'],
  [['mine.safetensors', 'old.pt'], 'mine.safetensors'],
])('of a folder with %j it takes %s', async (names, wanted) => {
  put(...names);
  expect(await resolveWeights(folder)).toBe(join(folder, wanted));
});

test('a folder with none or several is refused, naming what is there', async () => {
  await expect(resolveWeights(folder)).rejects.toThrow(/looked for model\.safetensors/);
  put('a.pt', 'b.pt');
  await expect(resolveWeights(folder)).rejects.toThrow(/several weights: a\.pt, b\.pt/);
});

test('names are found in the cache: as a file, as a folder', async () => {
  put('cache/some-clip.pt');
  expect(await resolveWeights('some-clip')).toBe(join(folder, 'cache', 'some-clip.pt'));
  mkdirSync(join(folder, 'cache', 'hub'));
  put('cache/hub/model.safetensors');
  expect(await resolveWeights('hub')).toBe(join(folder, 'cache', 'hub', 'model.safetensors'));
});

test('what ships is found by its name', async () => {
  const shipped = packagedWeightsFolder()!;
  expect(await resolveWeights('phantom-clip')).toBe(join(shipped, 'phantom-clip.safetensors'));
});

test('known weights: told how to pull them, found once they are pulled, also under OpenAI’s spelling', async () => {
  await expect(resolveWeights('ViT-L/14@336px')).rejects.toThrow(/mla-lp weights pull ViT-L-14-336px/);
  put('cache/ViT-L-14-336px.pt');
  for (const name of ['ViT-L/14@336px', 'vit-l-14-336px'])
    expect(await resolveWeights(name)).toBe(join(folder, 'cache', 'ViT-L-14-336px.pt'));
});

test.each([
  ['no-such-clip', /no known weights called no-such-clip.*phantom-clip.*weights pull/],
  ['', /no file or folder ""/],
  ['a\0b', /no file or folder/],
  ['../cache/../nothing', /no file or folder/],
  ['none/x.safetensors', /no file or folder/],
  ['https://example.org/x.pt', /is a link.*weights pull/],
])('refused: %j', async (text, message) => {
  await expect(resolveWeights(text)).rejects.toThrow(OptionError);
  await expect(resolveWeights(text)).rejects.toThrow(message);
});

test('head counts come from the JSON beside the weights, if it speaks about them', async () => {
  expect(await sidecarHeads(join(fixtures, 'hf.safetensors'))).toEqual({ heads: 2, textHeads: 1 });
  expect(await sidecarHeads(join(fixtures, 'openai.safetensors'))).toEqual({});
  expect(await sidecarHeads('synthetic:tiny')).toEqual({});
  cpSync(join(fixtures, 'hf.config.json'), join(folder, 'config.json'));
  for (const name of ['model.safetensors', 'model.safetensors.index.json', 'pytorch_model.bin'])
    expect(await sidecarHeads(join(folder, name))).toEqual({ heads: 2, textHeads: 1 });
  expect(await sidecarHeads(join(folder, 'ViT-H.pt'))).toEqual({});
  expect(await sidecarHeads(join(folder, 'modelled.pt'))).toEqual({});
  rmSync(join(folder, 'config.json'));
  const openClip = { model_cfg: { vision_cfg: { width: 1280, head_width: 80 }, text_cfg: { heads: 16 } } };
  writeFileSync(join(folder, 'open_clip_config.json'), JSON.stringify(openClip));
  expect(await sidecarHeads(join(folder, 'open_clip_model.safetensors'))).toEqual({
    heads: 16,
    textHeads: 16,
  });
  writeFileSync(join(folder, 'open_clip_config.json'), '{"model_cfg":');
  expect(await sidecarHeads(join(folder, 'open_clip_model.safetensors'))).toEqual({});
});

const bytes = (...values: number[]) => Uint8Array.from(values);

test('a file is written whole, replaces the old one, and leaves nothing else', async () => {
  const path = join(folder, 'out.bin');
  rmSync(join(folder, 'cache'), { recursive: true });
  await writeFileAtomic(path, [bytes(1, 2), bytes(), bytes(3)]);
  expect([...readFileSync(path)]).toEqual([1, 2, 3]);
  await writeFileAtomic(
    path,
    (async function* () {
      yield bytes(9);
      yield bytes(8);
    })(),
  );
  expect([...readFileSync(path)]).toEqual([9, 8]);
  expect(readdirSync(folder)).toEqual(['out.bin']);
});

test('when chunks fail, the old file stays and the temporary one goes', async () => {
  const path = join(folder, 'out.bin');
  rmSync(join(folder, 'cache'), { recursive: true });
  put('out.bin');
  const failing = async function* () {
    yield bytes(1);
    expect(readdirSync(folder)).toHaveLength(2);
    throw new RangeError('mine');
  };
  await expect(writeFileAtomic(path, failing())).rejects.toThrow(RangeError);
  expect(readFileSync(path, 'utf8')).toBe('out.bin');
  expect(readdirSync(folder)).toEqual(['out.bin']);
});

test.each<[string, () => string, string]>([
  ['a folder that is not there', () => join(folder, 'none', 'x'), 'ENOENT'],
  ['a file as a folder', () => join(folder, 'file', 'x'), 'ENOTDIR'],
  ['a folder in place of the file', () => join(folder, 'cache'), 'EISDIR'],
])('typed errors: %s', async (_, path, code) => {
  put('file');
  const before = readdirSync(folder);
  const error = await writeFileAtomic(path(), [bytes(1)]).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(MlaLpError);
  expect((error as MlaLpError).message).toContain(code);
  expect((error as MlaLpError).message).toContain(path());
  expect(readdirSync(folder)).toEqual(before);
});

/** The class behind node's file handles, to break its methods. */
async function handleClass(): Promise<FileHandle> {
  const file = await open(fileURLToPath(import.meta.url), 'r');
  await file.close();
  return Object.getPrototypeOf(file) as FileHandle;
}
const systemError = (code: string) => Object.assign(new Error(code), { code });

test('a disk that takes one byte at a time gets all of them', async () => {
  const handles = await handleClass();
  const write = handles.write as (this: FileHandle, ...args: unknown[]) => Promise<unknown>;
  const spy = vi.spyOn(handles, 'write').mockImplementation(function (this: FileHandle, ...args: unknown[]) {
    const [data, offset] = args;
    return write.call(this, data, offset, 1) as ReturnType<FileHandle['write']>;
  } as FileHandle['write']);
  try {
    await writeFileAtomic(join(folder, 'x'), [bytes(1, 2, 3), bytes(4)]);
    expect(spy).toHaveBeenCalledTimes(4);
  } finally {
    spy.mockRestore();
  }
  expect([...readFileSync(join(folder, 'x'))]).toEqual([1, 2, 3, 4]);
});

test.each<['write' | 'sync', string, RegExp]>([
  ['write', 'ENOSPC', /ENOSPC.*Free some space/],
  ['sync', 'EIO', /EIO/],
])('when %s fails with %s, the old file stays', async (method, code, message) => {
  put('x');
  const before = readdirSync(folder);
  const spy = vi.spyOn(await handleClass(), method).mockRejectedValue(systemError(code));
  try {
    await expect(writeFileAtomic(join(folder, 'x'), [bytes(1)])).rejects.toThrow(message);
  } finally {
    spy.mockRestore();
  }
  expect(readFileSync(join(folder, 'x'), 'utf8')).toBe('x');
  expect(readdirSync(folder)).toEqual(before);
});

test('a rename that may not last is told: the folder cannot be synced', async () => {
  const handles = await handleClass();
  const sync = handles.sync;
  let calls = 0;
  const spy = vi.spyOn(handles, 'sync').mockImplementation(function (this: FileHandle) {
    return ++calls === 2 ? Promise.reject(systemError('EIO')) : sync.call(this);
  });
  try {
    await expect(writeFileAtomic(join(folder, 'x'), [bytes(1)])).rejects.toThrow(/EIO/);
  } finally {
    spy.mockRestore();
  }
  expect(calls).toBe(2);
});

test.skipIf(process.platform === 'win32')('nobody else may read it', async () => {
  await writeFileAtomic(join(folder, 'x'), [bytes(1)]);
  expect(statSync(join(folder, 'x')).mode & 0o777).toBe(0o600);
});

test.skipIf(process.getuid?.() === 0 || process.platform === 'win32')(
  'a folder that is read-only',
  async () => {
    chmodSync(folder, 0o500);
    const writing = writeFileAtomic(join(folder, 'x'), [bytes(1)]);
    await expect(writing).rejects.toThrow(/EACCES.*may write to/);
    chmodSync(folder, 0o700);
  },
);

test('safetensors through a real file', async () => {
  const path = join(folder, 'a.safetensors');
  const data = Float32Array.from({ length: 1000 }, (_, i) => i / 7);
  await writeFileAtomic(path, safetensorsChunks([{ name: 'a', dtype: 'F32', shape: [10, 100], data }]));
  const source = await openSafetensors(await fileBytes(path));
  expect(await source.read('a')).toEqual(data);
  expect(await source.read('a', 990)).toEqual(data.slice(990));
  await source.close();
});

test.skipIf(process.platform === 'win32')(
  'a pipe is refused, not waited for',
  { timeout: 10_000 },
  async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await expect(fileBytes(pipe)).rejects.toThrow('it is not a file');
  },
);

test('a file fills memory again that was given back: its own, once, until it is trimmed', async () => {
  const size = 2 ** 18;
  const path = join(folder, 'again.bin');
  writeFileSync(path, Buffer.alloc(4 * size, 7));
  const bytes = await fileBytes(path);
  const read = async (length = size) => (await bytes.read(0, length)).buffer;
  const [a, b] = [await read(), await read()];
  expect(a).not.toBe(b);
  bytes.recycle!(a);
  bytes.recycle!(a);
  bytes.recycle!(new ArrayBuffer(size));
  expect(await read(2 * size)).not.toBe(a);
  expect(await read()).toBe(a);
  const [c, d] = [await read(), await read()];
  expect(new Set([a, b, c, d]).size).toBe(4);
  bytes.recycle!(a);
  bytes.trim!();
  expect(await read()).not.toBe(a);
  // Small ones are not worth keeping.
  const small = await read(1000);
  bytes.recycle!(small);
  expect(await read(1000)).not.toBe(small);
  await bytes.close();
});
