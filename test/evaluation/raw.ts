/** Made-up raw results, different in every value. */
import { type RawHeader, type RawMaps, type RawOutcome, rangeOf } from '../../src/evaluation/raw-results';
import { Random } from '../../src/runtime/random';

export const SIZE = 6;

export function header(overrides: Partial<RawHeader> = {}): RawHeader {
  return {
    dataset: 'made-up',
    protocol: 'few-shot',
    method: 'mla-lp',
    preset: 'authors',
    selection: 'last-epoch',
    fused: true,
    size: SIZE,
    hasMasks: true,
    n: 9,
    images: 'abc',
    configuration: { weights: 'w', precision: 'f32' },
    ...overrides,
  };
}

/** Image `index` of the made-up data set: the same numbers whenever it is asked for. */
export function made(index: number): { outcome: RawOutcome; maps: RawMaps } {
  const random = new Random(1000 + index);
  const map = () => Float32Array.from({ length: SIZE * SIZE }, () => 4 * random.uniform());
  const maps = {
    zeroShot: map(),
    fewShot: map(),
    mask: Uint8Array.from({ length: SIZE * SIZE }, (_, i) => Number(index % 2 === 1 && i % 5 < 2)),
  };
  const outcome = {
    index,
    name: `img/${index}.png`,
    abnormal: index % 2 === 1,
    hasMask: true,
    zeroShot: 4 * random.uniform(),
    zeroShotRange: rangeOf(maps.zeroShot),
    fewShot: random.uniform(),
    fewShotRange: rangeOf(maps.fewShot),
  };
  return { outcome, maps };
}
