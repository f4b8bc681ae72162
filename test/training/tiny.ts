/** The tiny golden case as a training set. */
import type { TrainingSample } from '../../src/training/samples';
import { openGolden } from '../helpers/goldens';

export const TINY_SIZE = 100;
export const TINY_BATCH = 4;

export async function tinyCase() {
  const golden = await openGolden('tiny/golden.safetensors');
  const [images, masks, labels] = await Promise.all(['images', 'masks', 'labels'].map((n) => golden.read(n)));
  const area = TINY_SIZE * TINY_SIZE;
  const samples = Array.from(
    { length: TINY_BATCH },
    (_, i): TrainingSample => ({
      abnormal: labels![i] === 1,
      hasMask: true,
      identity: String(i),
      load: async () => ({
        pixels: images!.slice(i * 3 * area, (i + 1) * 3 * area),
        mask: Uint8Array.from(masks!.subarray(i * area, (i + 1) * area)),
      }),
    }),
  );
  return {
    golden,
    weights: await openGolden('tiny/clip.safetensors'),
    init: await openGolden('tiny/init.safetensors'),
    samples,
  };
}
