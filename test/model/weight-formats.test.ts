/** One small CLIP in every checkpoint format gives Hugging Face's own features, computed in f64. */
import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { loadClip } from '../../src/library/node';
import { fixture, relativeError } from '../helpers/goldens';
import { openTestGpu } from '../helpers/gpu';

const gpu = await openTestGpu();
const golden = JSON.parse(readFileSync(fixture('weights/hf.json'), 'utf8')) as {
  ids: number[][];
  image_features: number[][];
  text_features: number[][];
};
const SIZE = 84;
const count = 2 * 3 * SIZE * SIZE;
const pixels = Float32Array.from({ length: count }, (_, i) => Math.sin(-1 + (2 * i) / (count - 1)));
const ids = Int32Array.from(golden.ids.flat());
const opened: { close(): Promise<void> }[] = [];
afterAll(async () => {
  for (const clip of opened) await clip.close();
});

test.each([
  'hf.safetensors',
  'sharded/model.safetensors.index.json',
  'openai.safetensors',
  'openai-state.pt',
  'openai-jit.pt',
])('%s', async (file) => {
  const clip = await loadClip(gpu, fixture(`weights/${file}`));
  opened.push(clip);
  const images = await clip.encodeImages(pixels, SIZE, 'quick_gelu');
  expect(relativeError(images, golden.image_features.flat())).toBeLessThan(1e-4);
  const texts = await clip.encodeText(ids, { activation: 'quick_gelu', causal: true });
  expect(relativeError(texts, golden.text_features.flat())).toBeLessThan(1e-4);
});
