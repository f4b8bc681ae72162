import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { memoryBytes } from '../../src/io/bytes';
import { asClipWeights } from '../../src/io/clip-names';
import { openWeights } from '../../src/io/open-weights';
import { gridFor, headsFromJson, readClipConfig } from '../../src/model/clip-config';
import { SYNTHETIC_MODELS, syntheticClip } from '../../src/model/synthetic';
import type { TensorSource } from '../../src/model/tensor-source';
import { BadFileError, OptionError } from '../../src/runtime/errors';

const bytes = (name: string) =>
  Uint8Array.from(readFileSync(new URL(`../fixtures/${name}`, import.meta.url)));
const sibling = async (name: string) => memoryBytes(bytes(`weights/sharded/${name}`), name);
const fixture = async (name: string) => openWeights(memoryBytes(bytes(name), name), sibling);

const SMALL = {
  pretrainGrid: 6,
  patch: 14,
  width: 128,
  layers: 4,
  heads: 2,
  mlp: 512,
  embed: 48,
  textWidth: 64,
  textLayers: 2,
  textHeads: 1,
  textMlp: 256,
  context: 77,
  vocab: 1000,
};
const TINY = { ...SMALL, pretrainGrid: 8, embed: 96, vocab: 49408 };

test.each([
  'weights/openai.safetensors',
  'weights/openai-jit.pt',
  'weights/openai-state.pt',
  'weights/hf.safetensors',
  'weights/sharded/model.safetensors.index.json',
])('the dimensions of %s', async (name) => {
  expect(readClipConfig(asClipWeights(await fixture(name)))).toEqual(SMALL);
});

test('the dimensions of the tiny case, stored and synthetic', async () => {
  const stored = asClipWeights(await fixture('tiny/clip.safetensors'));
  expect(readClipConfig(stored)).toEqual({
    ...TINY,
    vocab: stored.tensors.get('token_embedding.weight')!.shape[0],
  });
  expect(readClipConfig(asClipWeights(syntheticClip('tiny')))).toEqual(TINY);
});

test('full sizes', () => {
  const found = SYNTHETIC_MODELS.filter((model) => model.startsWith('vit')).map((model) => {
    const { width, layers, heads, patch, pretrainGrid, embed, textWidth, textHeads, textLayers } =
      readClipConfig(asClipWeights(syntheticClip(model)));
    return [model, width, layers, heads, patch, pretrainGrid, embed, textWidth, textHeads, textLayers];
  });
  expect(found).toEqual([
    ['vitl14', 1024, 24, 16, 14, 24, 768, 768, 12, 12],
    ['vitl14-224', 1024, 24, 16, 14, 16, 768, 768, 12, 12],
    ['vitb16', 768, 12, 12, 16, 14, 512, 512, 8, 12],
    ['vitb32', 768, 12, 12, 32, 7, 512, 512, 8, 12],
    ['vith14', 1280, 32, 16, 14, 16, 1024, 1024, 16, 24],
  ]);
});

function reshaped(name: string, shape: readonly number[] | undefined): TensorSource {
  const source = syntheticClip('tiny');
  const tensors = new Map(source.tensors);
  if (shape) tensors.set(name, { ...tensors.get(name)!, shape });
  else tensors.delete(name);
  return { ...source, tensors };
}

test.each<[string, readonly number[] | undefined, RegExp]>([
  ['visual.conv1.weight', undefined, /visual\.conv1\.weight is missing/],
  ['visual.conv1.weight', [128, 3], /has the shape \[128,3\]/],
  ['visual.positional_embedding', [66, 128], /66 position embeddings are not 1 \+ a square/],
  ['visual.transformer.resblocks.0.ln_1.weight', undefined, /no transformer blocks/],
  ['transformer.resblocks.0.ln_1.weight', undefined, /no transformer blocks/],
  ['token_embedding.weight', undefined, /token_embedding\.weight is missing/],
  ['visual.proj', undefined, /visual\.proj is missing/],
])('%s as %j is refused', (name, shape, message) => {
  expect(() => readClipConfig(reshaped(name, shape))).toThrow(BadFileError);
  expect(() => readClipConfig(reshaped(name, shape))).toThrow(message);
});

test('head counts: given ones win, must divide, and are needed where 64 does not divide', () => {
  const clip = syntheticClip('tiny');
  expect(readClipConfig(clip, { heads: 4, textHeads: 2 })).toMatchObject({ heads: 4, textHeads: 2 });
  for (const heads of [3, 0, -2, 1.5, Number.NaN])
    expect(() => readClipConfig(clip, { heads }), `${heads}`).toThrow(OptionError);
  const odd = reshaped('visual.conv1.weight', [80, 3, 14, 14]);
  expect(() => readClipConfig(odd)).toThrow(/width 80 has no whole number of 64-wide heads.*--heads/);
  expect(readClipConfig(odd, { heads: 1 }).heads).toBe(1);
});

test('head counts from sidecars', () => {
  const hf = JSON.parse(new TextDecoder().decode(bytes('weights/hf.config.json'))) as unknown;
  expect(headsFromJson(hf)).toEqual({ heads: 2, textHeads: 1 });
  const openClip = {
    model_cfg: { vision_cfg: { width: 1280, head_width: 80 }, text_cfg: { width: 1024, heads: 16 } },
  };
  expect(headsFromJson(openClip)).toEqual({ heads: 16, textHeads: 16 });
  expect(headsFromJson(openClip.model_cfg)).toEqual({ heads: 16, textHeads: 16 });
  for (const other of [
    null,
    1,
    'x',
    [],
    {},
    { vision_config: null },
    { text_config: { num_attention_heads: '8' } },
  ])
    expect(headsFromJson(other)).toEqual({});
});

test('the grid of an image size', () => {
  expect([14, 27, 28, 240, 336].map((size) => gridFor({ patch: 14 }, size))).toEqual([1, 1, 2, 17, 24]);
  for (const size of [13, 0, -14, 14.5, Number.NaN, Number.POSITIVE_INFINITY])
    expect(() => gridFor({ patch: 14 }, size), `${size}`).toThrow(OptionError);
});
