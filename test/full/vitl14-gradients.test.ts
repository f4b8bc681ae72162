/**
 * `npm run test:full`: one training step of ViT-L/14-336 at 240 px, stand-in weights, preset authors, one image: losses and the norm
 * of every gradient against the float64 reference. Some 0.9 TFLOP: many minutes on a CPU.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { AUTHORS } from '../../src/model/presets';
import { syntheticCheckpoint, syntheticClip } from '../../src/model/synthetic';
import { fixture, openGolden } from '../helpers/goldens';
import { openTestGpu } from '../helpers/gpu';
import { oneStep, totalLoss } from '../helpers/one-step';

const TOLERANCE = 1e-2;
const gpu = await openTestGpu();
const golden = await openGolden('vitl14/golden.safetensors');
const want = JSON.parse(readFileSync(fixture('vitl14/golden.json'), 'utf8')).presets.authors as {
  readonly det_loss: number;
  readonly seg_loss: number;
  readonly grad_norms: Readonly<Record<string, number>>;
};

test('losses and gradient norms of one step', async () => {
  const { losses, gradients } = await oneStep(gpu, {
    weights: syntheticClip('vitl14'),
    init: syntheticCheckpoint('vitl14'),
    preset: AUTHORS,
    imageSize: 240,
    images: await golden.read('images'),
    labels: await golden.read('labels'),
    masks: await golden.read('masks'),
  });
  expect(Math.abs(totalLoss(losses, 'det.') / want.det_loss - 1)).toBeLessThan(TOLERANCE);
  expect(Math.abs(totalLoss(losses, 'seg.') / want.seg_loss - 1)).toBeLessThan(TOLERANCE);
  const trained = Object.entries(want.grad_norms).filter(([, norm]) => norm > 0);
  expect(trained).toHaveLength(16);
  const errors = trained.map(
    ([name, norm]) => [name, Math.abs(normOf(gradients.get(name)!) / norm - 1)] as const,
  );
  console.log(errors.map(([name, error]) => `${error.toExponential(1)} ${name}`).join('\n'));
  for (const [name, error] of errors) expect(error, name).toBeLessThan(TOLERANCE);
});

function normOf(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}
