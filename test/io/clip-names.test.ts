import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { memoryBytes } from '../../src/io/bytes';
import { asClipWeights, extraTensors } from '../../src/io/clip-names';
import { openSafetensors } from '../../src/io/safetensors';
import { openSharded } from '../../src/io/sharded';
import type { TensorInfo, TensorSource } from '../../src/model/tensor-source';
import { BadFileError } from '../../src/runtime/errors';

const folder = fileURLToPath(new URL('../fixtures/weights/', import.meta.url));
/** @throws as a platform does for a file that is not there. */
const beside = async (name: string) => {
  try {
    return memoryBytes(Uint8Array.from(readFileSync(folder + name)), name);
  } catch {
    throw new BadFileError(name, 'it cannot be opened');
  }
};
const openFile = async (name: string) => openSafetensors(await beside(name));

let openai: TensorSource;
let stored: TensorSource;
beforeAll(async () => {
  stored = await openFile('openai.safetensors');
  openai = asClipWeights(stored);
});

/** A source whose tensors are renamed, dropped (undefined) or reshaped. */
function changed(
  source: TensorSource,
  change: (info: TensorInfo) => Partial<TensorInfo> | undefined,
): TensorSource {
  const from = new Map<string, string>();
  const tensors = new Map<string, TensorInfo>();
  for (const info of source.tensors.values()) {
    const other = change(info);
    if (!other) continue;
    const name = other.name ?? info.name;
    from.set(name, info.name);
    tensors.set(name, { ...info, ...other, name });
  }
  return { ...source, tensors, read: (name, start, end) => source.read(from.get(name)!, start, end) };
}

/** Bit by bit; vitest's own comparison takes seconds for a matrix. */
function expectSameValues(found: Float32Array, wanted: Float32Array): void {
  expect(found.length).toBe(wanted.length);
  expect(Buffer.compare(new Uint8Array(found.buffer), new Uint8Array(wanted.buffer))).toBe(0);
}

async function expectSame(source: TensorSource): Promise<void> {
  expect([...source.tensors.keys()].sort()).toEqual([...openai.tensors.keys()].sort());
  for (const [name, { shape }] of openai.tensors) {
    expect(source.tensors.get(name)!.shape, name).toEqual(shape);
    expectSameValues(await source.read(name), await openai.read(name));
  }
}

test('Hugging Face names give what OpenAI’s give: single file', async () => {
  await expectSame(asClipWeights(await openFile('hf.safetensors')));
});

test('and shards', async () => {
  const index = readdirSync(`${folder}sharded`).find((name) => name.endsWith('.index.json'))!;
  const source = await openSharded(await beside(`sharded/${index}`), (name) => beside(`sharded/${name}`));
  await expectSame(asClipWeights(source));
});

test('the file’s own order of elements is kept where nothing is derived', async () => {
  expectSameValues(await openai.read('visual.proj'), await stored.read('visual.proj'));
  expect(openai.tensors.get('visual.proj')!.shape).toEqual([128, 48]);
});

test.each([
  ['fused q, k, v', 'visual.transformer.resblocks.1.attn.in_proj_weight'],
  ['fused biases', 'transformer.resblocks.0.attn.in_proj_bias'],
  ['transposed projections', 'visual.proj'],
])('%s by range', async (_, name) => {
  const hf = asClipWeights(await openFile('hf.safetensors'));
  const whole = await openai.read(name);
  const cuts = [0, 1, whole.length / 3 - 1, whole.length / 3, whole.length / 2, whole.length - 1].map(
    Math.floor,
  );
  for (const start of cuts) {
    for (const end of [...cuts, whole.length].filter((end) => end >= start))
      expectSameValues(await hf.read(name, start, end), whole.slice(start, end));
  }
  await expect(hf.read(name, 0, whole.length + 1)).rejects.toThrow(BadFileError);
});

test('a range of q alone reads no k or v', async () => {
  const hf = await openFile('hf.safetensors');
  const reads: string[] = [];
  const spied = {
    ...hf,
    read: (name: string, start?: number, end?: number) => {
      reads.push(name);
      return hf.read(name, start, end);
    },
  };
  await asClipWeights(spied).read('visual.transformer.resblocks.0.attn.in_proj_weight', 5, 100);
  expect(reads).toEqual(['vision_model.encoder.layers.0.self_attn.q_proj.weight']);
});

test.each([
  ['module.', (name: string) => `module.${name}`],
  ['state_dict.module.', (name: string) => `state_dict.module.${name}`],
  ['model.', (name: string) => `model.${name}`],
  ['open_clip’s text.', (name: string) => (/^visual|^logit/.test(name) ? name : `text.${name}`)],
])('the prefix %s', async (_, rename) => {
  await expectSame(asClipWeights(changed(stored, ({ name }) => ({ name: rename(name) }))));
});

test('extra tensors are told and left out', async () => {
  const hf = await openFile('hf.safetensors');
  const tensors = new Map(hf.tensors);
  const extra = 'text_model.embeddings.position_ids';
  tensors.set(extra, { name: extra, dtype: 'I64', shape: [1, 77] });
  const more = { ...hf, tensors };
  expect(extraTensors(more)).toEqual([extra]);
  expect(extraTensors(hf)).toEqual([]);
  expect(extraTensors(stored)).toEqual([]);
  expect(asClipWeights(more).tensors.has(extra)).toBe(false);
});

function refusal(source: TensorSource): BadFileError {
  let thrown: unknown;
  try {
    asClipWeights(source);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(BadFileError);
  return thrown as BadFileError;
}

const without = (pattern: RegExp) =>
  changed(stored, (info) => (pattern.test(info.name) ? undefined : { name: info.name }));
const reshaped = (name: string, shape: number[]) =>
  changed(stored, (info) => (info.name === name ? { shape } : {}));

test('every tensor but logit_scale is needed, and named when it is missing', () => {
  for (const name of stored.tensors.keys()) {
    const source = changed(stored, (info) => (info.name === name ? undefined : {}));
    if (name === 'logit_scale') expect(asClipWeights(source).tensors.has(name)).toBe(false);
    else expect(refusal(source).message).toContain(`1 tensor missing (${name})`);
  }
});

test('every tensor’s shape is checked', () => {
  for (const { name, shape } of stored.tensors.values()) {
    if (shape.length === 0) continue;
    expect(refusal(reshaped(name, [...shape, 1])).message, name).toContain('wrongly shaped');
    expect(refusal(reshaped(name, [...shape.slice(0, -1), shape.at(-1)! + 1])).message, name).toContain(
      'wrongly shaped',
    );
  }
});

test('in_proj must have three times the width, not only one size throughout', () => {
  const wide = changed(stored, ({ name, shape }) =>
    name.includes('in_proj') ? { shape: shape.with(0, (shape[0]! / 3) * 4) } : {},
  );
  expect(refusal(wide).message).toContain('in_proj_weight [512,128] instead of [384, 128]');
});

test('many missing: five names and the count', () => {
  const { message } = refusal(without(/resblocks\.1\.ln_/));
  expect(message).toContain('8 tensors missing');
  expect(message.match(/resblocks\.1\.ln_/g)).toHaveLength(5);
});

test('missing and misshapen are told together', () => {
  const source = changed(stored, ({ name, shape }) => {
    if (name === 'ln_final.bias') return undefined;
    return name === 'visual.proj' ? { shape: shape.toReversed() } : {};
  });
  const { message } = refusal(source);
  expect(message).toContain('1 tensor missing (ln_final.bias)');
  expect(message).toContain('visual.proj [48,128] instead of [128, embed]');
});

test('a hole among the blocks, a missing part of q, k, v, parts that differ', async () => {
  expect(refusal(without(/^visual\.transformer\.resblocks\.2\./)).message).toContain('12 tensors missing');
  const hf = await openFile('hf.safetensors');
  const k = 'vision_model.encoder.layers.2.self_attn.k_proj.weight';
  const missing = '1 tensor missing (visual.transformer.resblocks.2.attn.in_proj_weight)';
  expect(refusal(changed(hf, (info) => (info.name === k ? undefined : {}))).message).toContain(missing);
  const other = changed(hf, (info) => (info.name === k ? { shape: [64, 128] } : {}));
  expect(refusal(other).message).toContain(missing);
});

test('two tensors for one place', () => {
  const tensors = new Map(stored.tensors);
  tensors.set('module.visual.proj', { name: 'module.visual.proj', dtype: 'F32', shape: [1] });
  expect(refusal({ ...stored, tensors }).message).toContain('both stand for visual.proj');
});

test('a block number from a hostile file costs nothing', () => {
  const name = 'transformer.resblocks.999999999.ln_1.weight';
  const tensors = new Map(stored.tensors).set(name, { name, dtype: 'F32', shape: [1] });
  expect(refusal({ ...stored, tensors }).message).toContain('block 999999999');
});

test('what is no such CLIP gets a remedy', async () => {
  const resnet = changed(stored, ({ name }) => ({
    name: name.replace('visual.transformer', 'visual.layer1'),
  }));
  expect(refusal(resnet).remedy).toContain('ResNet');
  expect(refusal(await openFile('mla-lp.safetensors')).remedy).toContain('--checkpoint');
});

const indexOf = (map: unknown) =>
  memoryBytes(new TextEncoder().encode(JSON.stringify(map)), 'model.safetensors.index.json');

test.each<[string, unknown, RegExp]>([
  ['no weight_map', { a: 1 }, /no weight_map/],
  ['a list', [], /no weight_map/],
  ['an empty weight_map', { weight_map: {} }, /empty/],
  ['a shard that is a number', { weight_map: { a: 1 } }, /no plain file name/],
  ['a parent folder', { weight_map: { a: '../openai.safetensors' } }, /no plain file name/],
  ['..', { weight_map: { a: '..' } }, /no plain file name/],
  ['an absolute path', { weight_map: { a: '/etc/passwd' } }, /no plain file name/],
  ['a Windows path', { weight_map: { a: '..\\x' } }, /no plain file name/],
  ['a drive', { weight_map: { a: 'C:x' } }, /no plain file name/],
  ['an encoded path', { weight_map: { a: '%2e%2e%2fx' } }, /no plain file name/],
  ['a NUL', { weight_map: { a: 'a\0' } }, /no plain file name/],
  ['a missing shard', { weight_map: { a: 'none.safetensors' } }, /1 of its 1 shards .*none\.safetensors/],
  ['a tensor elsewhere', { weight_map: { a: 'openai.safetensors' } }, /"a" is not in openai\.safetensors/],
])('an index refused: %s', async (_, json, message) => {
  await expect(openSharded(indexOf(json), beside)).rejects.toThrow(BadFileError);
  await expect(openSharded(indexOf(json), beside)).rejects.toThrow(message);
});

test('an index that is no JSON', async () => {
  const bytes = memoryBytes(new TextEncoder().encode('{"weight_map":'), 'x.index.json');
  await expect(openSharded(bytes, beside)).rejects.toThrow(/not JSON/);
});

test('shards are closed, on success and on failure', async () => {
  let open = 0;
  const counted = async (name: string) => {
    const bytes = await beside(name);
    open++;
    const close = async () => {
      open--;
      await bytes.close();
    };
    return { ...bytes, close };
  };
  const good = await openSharded(
    indexOf({ weight_map: { 'visual.proj': 'openai.safetensors', logit_scale: 'hf.safetensors' } }),
    counted,
  );
  expect(open).toBe(2);
  await good.close();
  expect(open).toBe(0);
  const bad = { a: 'openai.safetensors', b: 'none.safetensors', c: 'hf.config.json' };
  await expect(openSharded(indexOf({ weight_map: bad }), counted)).rejects.toThrow(BadFileError);
  expect(open).toBe(0);
});
