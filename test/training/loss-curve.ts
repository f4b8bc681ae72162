import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { Clip } from '../../src/model/clip';
import { readClipConfig } from '../../src/model/clip-config';
import { presetNamed } from '../../src/model/presets';
import type { Gpu } from '../../src/runtime/device';
import { Trainer } from '../../src/training/trainer';
import { fixture } from '../helpers/goldens';
import { TINY_BATCH, TINY_SIZE, tinyCase } from './tiny';

/** Trains the tiny case and compares each step's loss with the float64 reference's curve. */
export async function followsReference(gpu: Gpu, preset: 'authors' | 'paper', steps: number): Promise<void> {
  const { weights, init, samples } = await tinyCase();
  const golden = JSON.parse(readFileSync(fixture('tiny/golden.json'), 'utf8'));
  const curve: number[] = golden.presets[preset].loss_curve.slice(0, steps);
  const clip = new Clip(gpu, weights, readClipConfig(weights), 'f32');
  const trainer = await Trainer.create(clip, samples, {
    preset: presetNamed(preset),
    imageSize: TINY_SIZE,
    batch: TINY_BATCH,
    steps,
    augment: false,
    shuffle: false,
    init,
  });
  const losses: number[] = [];
  for await (const { loss } of trainer.run()) losses.push(loss);
  expect(losses).toHaveLength(steps);
  expect(curve).toHaveLength(steps);
  for (const [i, loss] of losses.entries()) {
    expect(Math.abs(loss / curve[i]! - 1), `step ${i + 1}`).toBeLessThan(1e-3);
  }
  await trainer.destroy();
  await clip.vision.destroy();
}
