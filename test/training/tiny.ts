/** The tiny golden case as a training set. */
import type { TrainingSample } from '../../src/training/samples';
import { openGolden } from '../helpers/goldens';

export const TINY_SIZE = 100;
export const TINY_BATCH = 4;

/** @param size px: the whole images, or their upper left corner where a test needs less work. */
export async function tinyCase(size = TINY_SIZE) {
  const golden = await openGolden('tiny/golden.safetensors');
  const [images, masks, labels] = await Promise.all(['images', 'masks', 'labels'].map((n) => golden.read(n)));
  /** Plane `index` of a stack of squares, cut. */
  const plane = (stack: Float32Array, index: number) =>
    Float32Array.from({ length: size * size }, (_, p) => {
      const [y, x] = [Math.floor(p / size), p % size];
      return stack[(index * TINY_SIZE + y) * TINY_SIZE + x]!;
    });
  const samples = Array.from({ length: TINY_BATCH }, (_, i): TrainingSample => {
    const pixels = new Float32Array(3 * size * size);
    for (let c = 0; c < 3; c++) pixels.set(plane(images!, 3 * i + c), c * size * size);
    const mask = Uint8Array.from(plane(masks!, i));
    return {
      abnormal: labels![i] === 1,
      hasMask: true,
      identity: String(i),
      load: async () => ({ pixels: pixels.slice(), mask }),
    };
  });
  return {
    golden,
    weights: await openGolden('tiny/clip.safetensors'),
    init: await openGolden('tiny/init.safetensors'),
    samples,
  };
}
