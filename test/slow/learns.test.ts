/**
 * It learns. phantom-clip never saw breast ultrasound; trained for 16 steps of 4 on 64 phantoms of it, it finds lesions in others clearly
 * better than chance and than plain CLIP with the captions it came with. By image twice: the detection score, and the
 * map's maximum, which the paper takes where there are masks. What else was tried, and did no better: docs/train.md.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { RgbImage } from '../../src/data/image';
import { makePhantom, type Phantom } from '../../src/data/phantoms';
import { createTrainer, loadClip, MlaLp, type MlaLpOptions } from '../../src/library/node';
import { auroc, pixelMetrics } from '../../src/metrics';
import { parsePrompts } from '../../src/model/prompts';
import { openTestGpu } from '../helpers/gpu';

const WEIGHTS = join(import.meta.dirname, '../../weights/phantom-clip');
const SIZE = 112;
const gpu = await openTestGpu();

function phantoms(seed: number, count: number): Phantom[] {
  return Array.from({ length: count }, (_, i) =>
    makePhantom(seed + i, { size: SIZE, modality: 'breast ultrasound', abnormal: i % 2 === 1 }),
  );
}

function picture(mask: Uint8Array): RgbImage {
  const data = Uint8Array.from({ length: 3 * mask.length }, (_, p) => 255 * mask[Math.floor(p / 3)]!);
  return { width: SIZE, height: SIZE, data };
}

test('a short training beats plain CLIP and chance on held-out phantoms', {
  timeout: 1_800_000,
}, async () => {
  const clip = await loadClip(gpu, `${WEIGHTS}.safetensors`);
  const held = phantoms(2026, 64);
  const labels = held.map(({ abnormal }) => abnormal);
  const evaluate = async (options: MlaLpOptions) => {
    const model = await MlaLp.load(clip, { ...options, imageSize: SIZE, batch: 8 });
    const found = await model.detect(held.map(({ image }) => image));
    await model.destroy();
    const pixel = await pixelMetrics(
      found.map(({ map }, i) => ({ map, mask: held[i]!.mask })),
      { resamples: 0 },
    );
    return {
      score: auroc(
        labels,
        found.map(({ score }) => score),
      ),
      peak: auroc(
        labels,
        found.map(({ map }) => map.reduce((a, b) => Math.max(a, b))),
      ),
      pixel: pixel.auroc.value,
    };
  };
  const prompts = parsePrompts(readFileSync(`${WEIGHTS}.prompts.json`, 'utf8'), 'prompts');
  const plain = await evaluate({ method: 'clip', prompts });
  const images = phantoms(5000, 64).map(({ image, abnormal, mask }) => ({
    image,
    abnormal,
    ...(abnormal && { mask: picture(mask) }),
  }));
  const trainer = await createTrainer(clip, images, {
    imageSize: SIZE,
    batch: 4,
    steps: 16,
    augment: false,
    adapterRate: 1e-3,
    promptRate: 1e-3,
    schedule: 'cosine',
    warmup: 2,
  });
  for await (const _ of trainer.run());
  const trained = await evaluate({ checkpoint: await trainer.checkpoint() });
  await trainer.destroy();
  await clip.close();
  // Seen: score 0.661 -> 0.771, peak 0.599 -> 0.775, pixel 0.879 -> 0.924. On 120 phantoms three seeds of a reference
  // implementation gave 0.70 to 0.76, 0.76 to 0.81 and 0.92 to 0.94.
  expect(trained.peak).toBeGreaterThan(plain.peak + 0.08);
  expect(trained.pixel).toBeGreaterThan(plain.pixel + 0.025);
  expect(trained.score).toBeGreaterThan(plain.score);
  expect(trained.peak).toBeGreaterThan(0.7);
  expect(trained.pixel).toBeGreaterThan(0.9);
});
