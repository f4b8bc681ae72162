/** It learns: a short training on drawn phantoms beats plain CLIP and chance on phantoms that it never saw. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { auroc, PixelAuroc } from '../../src/data/auroc';
import type { RgbImage } from '../../src/data/image';
import { makePhantom, modalities, type Phantom } from '../../src/data/phantoms';
import { createTrainer, loadClip, MlaLp, type MlaLpOptions, parsePrompts } from '../../src/library/node';
import { openTestGpu } from '../helpers/gpu';

const ROOT = join(import.meta.dirname, '../..');
const SIZE = 112;
const gpu = await openTestGpu();

function phantoms(seed: number, count: number): Phantom[] {
  return Array.from({ length: count }, (_, i) =>
    makePhantom(seed + i, {
      size: SIZE,
      modality: modalities[Math.floor(i / 2) % modalities.length]!,
      abnormal: i % 2 === 1,
    }),
  );
}

function picture(mask: Uint8Array): RgbImage {
  const data = Uint8Array.from({ length: 3 * mask.length }, (_, p) => 255 * mask[Math.floor(p / 3)]!);
  return { width: SIZE, height: SIZE, data };
}

test('beats plain CLIP and chance on held-out phantoms, by image and by pixel', async () => {
  const clip = await loadClip(gpu, join(ROOT, 'weights/phantom-clip.safetensors'));
  const held = phantoms(2026, 36);
  const evaluate = async (options: MlaLpOptions) => {
    const model = await MlaLp.load(clip, { ...options, imageSize: SIZE, batch: 4 });
    const found = await model.detect(held.map(({ image }) => image));
    const pixels = new PixelAuroc();
    found.forEach(({ map }, i) => {
      pixels.add(held[i]!.mask, map);
    });
    const image = auroc(
      held.map(({ abnormal }) => abnormal),
      found.map(({ score }) => score),
    );
    await model.destroy();
    return { image, pixel: pixels.value() };
  };
  const text = readFileSync(join(ROOT, 'weights/phantom-clip.prompts.json'), 'utf8');
  const plain = await evaluate({ method: 'clip', prompts: parsePrompts(text, 'phantom-clip.prompts.json') });
  const images = phantoms(5000, 48).map(({ image, abnormal, mask }) => ({
    image,
    abnormal,
    ...(abnormal && { mask: picture(mask) }),
  }));
  const trainer = await createTrainer(clip, images, {
    imageSize: SIZE,
    batch: 8,
    steps: 24,
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
  console.log('plain', plain, 'trained', trained);
  expect(trained.image).toBeGreaterThan(plain.image);
  expect(trained.pixel).toBeGreaterThan(plain.pixel);
  expect(Math.min(trained.image, trained.pixel)).toBeGreaterThan(0.9);
});
