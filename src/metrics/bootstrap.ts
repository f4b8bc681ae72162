/**
 * Percentile bootstrap by image (Efron and Tibshirani 1993, section 13.3). Resamples are stratified: as many normal and as
 * many abnormal images as there are, each drawn with replacement from its own class (as pROC does by default, Robin et al. 2011;
 * Carpenter and Bithell 2000). So every resample has both classes and the prevalence, on which AP and F1 depend, stays that of
 * the data set.
 */
import { OptionError } from '../runtime/errors';
import { Random } from '../runtime/random';
import type { Estimate } from './metrics';

export interface BootstrapOptions {
  /** Default 1000; 0 gives no intervals. */
  readonly resamples?: number;
  /** The same seed and samples give the same interval. Default 0. */
  readonly seed?: number;
}

const LOW = 0.025;
const HIGH = 0.975;

/**
 * @param abnormal the class of each image.
 * @param each called once a resample with how often each image was drawn; the array is reused.
 * @throws OptionError when `resamples` is no whole number of at least 0.
 */
export function resample(
  abnormal: ArrayLike<number | boolean>,
  { resamples = 1000, seed = 0 }: BootstrapOptions,
  each: (draws: Uint32Array, index: number) => void,
): void {
  if (!Number.isSafeInteger(resamples) || resamples < 0) {
    throw new OptionError(`${resamples} bootstrap resamples are not possible.`, 'Give 0, or about 1000.');
  }
  const strata: number[][] = [[], []];
  for (let i = 0; i < abnormal.length; i++) strata[abnormal[i] ? 1 : 0]!.push(i);
  const random = new Random(seed);
  const draws = new Uint32Array(abnormal.length);
  for (let r = 0; r < resamples; r++) {
    draws.fill(0);
    for (const stratum of strata) {
      for (let k = 0; k < stratum.length; k++) draws[stratum[random.integer(0, stratum.length)]!]!++;
    }
    each(draws, r);
  }
}

/**
 * @param samples the metric of every resample.
 * @param shift added to the bounds, which stay within 0..1.
 */
export function estimate(value: number, samples: Float64Array, shift = 0): Estimate {
  const sorted = samples.filter((x) => !Number.isNaN(x)).sort();
  if (Number.isNaN(value) || sorted.length === 0) return { value, low: Number.NaN, high: Number.NaN };
  const bound = (share: number) => Math.min(1, Math.max(0, quantile(sorted, share) + shift));
  return { value, low: bound(LOW), high: bound(HIGH) };
}

/** Linear between order statistics (type 7 of Hyndman and Fan 1996, NumPy's default). */
function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (at - below) * (sorted[above]! - sorted[below]!);
}
