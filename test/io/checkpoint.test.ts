import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { memoryBytes } from '../../src/io/bytes';
import { openCheckpoint } from '../../src/io/checkpoint';
import { asClipWeights } from '../../src/io/clip-names';
import { openWeights } from '../../src/io/open-weights';
import { readClipConfig } from '../../src/model/clip-config';
import { syntheticCheckpoint, syntheticClip } from '../../src/model/synthetic';
import type { TensorInfo, TensorSource } from '../../src/model/tensor-source';
import { BadFileError } from '../../src/runtime/errors';

const fixture = (name: string) =>
  openWeights(
    memoryBytes(Uint8Array.from(readFileSync(new URL(`../fixtures/${name}`, import.meta.url))), name),
  );
const config = readClipConfig(asClipWeights(await fixture('weights/openai.safetensors')));
const wanted = await fixture('weights/mla-lp.safetensors');
const NORMAL = 'prompt_learner.ctx.normal_end';
const ABNORMAL = 'prompt_learner.ctx.abnormal_end';

async function expectSame(found: TensorSource, names: readonly string[]): Promise<void> {
  expect([...found.tensors.keys()].sort()).toEqual([...names].sort());
  for (const name of names) {
    const stored = wanted.tensors.get(name)!;
    expect(found.tensors.get(name), name).toEqual({ name, dtype: stored.dtype, shape: stored.shape });
    const [a, b] = await Promise.all([found.read(name), wanted.read(name)]);
    expect(Buffer.compare(Buffer.from(a.buffer), Buffer.from(b.buffer)), name).toBe(0);
  }
}

test('ours, and MLA-LP’s .pth, hold the same adapters and prompts', async () => {
  for (const name of ['weights/mla-lp.safetensors', 'weights/mla-lp.pth']) {
    const { source, stages, hasPrompts } = openCheckpoint(await fixture(name), config);
    expect([stages, hasPrompts]).toEqual([4, true]);
    await expectSame(source, [...wanted.tensors.keys()]);
  }
});

test('MVFA’s .pth holds the adapters alone', async () => {
  const { source, stages, hasPrompts } = openCheckpoint(await fixture('weights/mvfa.pth'), config);
  expect([stages, hasPrompts]).toEqual([4, false]);
  await expectSame(
    source,
    [...wanted.tensors.keys()].filter((name) => !name.startsWith('prompt_learner')),
  );
});

test('the tiny case’s start, and synthetic checkpoints of every size', async () => {
  const tiny = readClipConfig(syntheticClip('tiny'));
  expect(openCheckpoint(await fixture('tiny/init.safetensors'), tiny)).toMatchObject({
    stages: 4,
    hasPrompts: true,
  });
  const full = readClipConfig(syntheticClip('vitl14'));
  expect(openCheckpoint(syntheticCheckpoint('vitl14'), full).stages).toBe(4);
  expect(() => openCheckpoint(syntheticCheckpoint('vitl14'), tiny)).toThrow(
    /fc1\.0\.weight has the shape \[768,1024\], the CLIP needs \[96,128\]/,
  );
});

/** The fixture with tensors renamed, reshaped or (undefined) dropped. */
function changed(change: (info: TensorInfo) => Partial<TensorInfo> | undefined): TensorSource {
  const tensors = new Map<string, TensorInfo>();
  for (const info of wanted.tensors.values()) {
    const other = change(info);
    if (other) tensors.set(other.name ?? info.name, { ...info, ...other });
  }
  return { ...wanted, tensors };
}

test('prefixes, extra tensors, fewer stages, the last fc2 absent', () => {
  const wrapped = changed(({ name }) => ({ name: `state_dict.module.${name}` }));
  expect(openCheckpoint(wrapped, config)).toMatchObject({ stages: 4, hasPrompts: true });
  const extra = changed(() => ({}));
  (extra.tensors as Map<string, TensorInfo>).set('epoch', { name: 'epoch', dtype: 'I64', shape: [] });
  expect(openCheckpoint(extra, config).source.tensors.has('epoch')).toBe(false);
  for (const stages of [1, 2]) {
    const fewer = changed(({ name }) =>
      Number(/adapters\.(\d)/.exec(name)?.[1] ?? 0) < stages ? {} : undefined,
    );
    expect(openCheckpoint(fewer, config).stages).toBe(stages);
  }
  const last = changed(({ name }) => (/adapters\.3\.fc2/.test(name) ? undefined : {}));
  expect(openCheckpoint(last, config).stages).toBe(4);
});

test('every other tensor is needed, and every shape is checked', () => {
  for (const { name, shape } of wanted.tensors.values()) {
    if (!/adapters\.3\.fc2/.test(name)) {
      const without = changed((info) => (info.name === name ? undefined : {}));
      expect(() => openCheckpoint(without, config), name).toThrow(BadFileError);
      expect(() => openCheckpoint(without, config), name).toThrow(`${name} is missing`);
    }
    for (const wrong of [
      [...shape, 1],
      shape.slice(1),
      shape.with(-1, shape.at(-1)! + 1),
      shape.with(0, 9),
    ]) {
      const reshaped = changed((info) => (info.name === name ? { shape: wrong } : {}));
      expect(() => openCheckpoint(reshaped, config), name).toThrow(BadFileError);
    }
  }
});

test.each<[string, TensorSource, RegExp]>([
  [
    'three stages of four layers',
    changed(({ name }) => (/adapters\.3/.test(name) ? undefined : {})),
    /3 stages do not divide the CLIP's 4 layers/,
  ],
  [
    'a stage number from a hostile file',
    changed(({ name }) =>
      name === 'seg_adapters.3.fc1.0.weight' ? { name: name.replace('3', '999999') } : {},
    ),
    /1000000 stages/,
  ],
  ['prompts alone', changed(({ name }) => (name.includes('ctx') ? {} : undefined)), /holds no adapters/],
  [
    'no context vectors',
    changed(({ name, shape }) => (name.includes('ctx') ? { shape: shape.with(1, 0) } : {})),
    /0 context vectors/,
  ],
  [
    'more context vectors than positions',
    changed(({ name, shape }) => (name.includes('ctx') ? { shape: shape.with(1, 76) } : {})),
    /76 context vectors, the CLIP has 77 positions/,
  ],
  [
    'prompts of two lengths',
    changed(({ name, shape }) => (name === ABNORMAL ? { shape: shape.with(1, 5) } : {})),
    /abnormal_end has the shape \[11,5,64\], the CLIP needs \[11,8,64\]/,
  ],
  [
    'normal and abnormal exchanged',
    changed(({ name }) => (name === NORMAL ? { name: ABNORMAL } : name === ABNORMAL ? { name: NORMAL } : {})),
    /\[11,8,64\], the CLIP needs \[10,8,64\]/,
  ],
])('refused: %s', (_, source, message) => {
  expect(() => openCheckpoint(source, config)).toThrow(BadFileError);
  expect(() => openCheckpoint(source, config)).toThrow(message);
});

test('two tensors for one place, and CLIP weights in place of a checkpoint', async () => {
  const twice = changed(() => ({}));
  const name = `state_dict.${NORMAL}`;
  (twice.tensors as Map<string, TensorInfo>).set(name, { name, dtype: 'F32', shape: [10, 8, 64] });
  expect(() => openCheckpoint(twice, config)).toThrow(/both stand for prompt_learner\.ctx\.normal_end/);
  const clip = await fixture('weights/openai.safetensors');
  expect(() => openCheckpoint(clip, config)).toThrow(/holds no adapters.*--weights/);
});
