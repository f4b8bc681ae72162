/** Metrics of samples that carry a label and a score, held in memory: images. Equal to scikit-learn's, ties included. */
import { ShapeError, ValueError } from '../runtime/errors';
import { type BootstrapOptions, estimate, resample } from './bootstrap';
import type { RankingMetrics } from './metrics';
import { Sweep } from './sweep';
import { Totals } from './totals';

export interface RankingOptions extends BootstrapOptions {
  /** At which to report sensitivities. Default 0.90, 0.95, 0.99. */
  readonly specificities?: readonly number[];
}

export const SPECIFICITIES = [0.9, 0.95, 0.99] as const;

/**
 * Intervals: stratified percentile bootstrap (see bootstrap.ts).
 * @param labels 0 or false: normal; anything else: abnormal. @param scores higher means more abnormal.
 * @returns fractions of 1; NaN and empty curves when one of the classes is missing.
 * @throws ShapeError when the lengths differ. @throws ValueError on a NaN score. @throws OptionError on a bad option.
 */
export function rankingMetrics(
  labels: ArrayLike<number | boolean>,
  scores: ArrayLike<number>,
  options: RankingOptions = {},
): RankingMetrics {
  const groups = groupByScore(labels, scores);
  const { thresholds, normal, abnormal, normals, abnormals } = groups;
  const sweep = new Sweep(normals, abnormals, 0, options.specificities ?? SPECIFICITIES);
  for (let g = 0; g < thresholds.length; g++) sweep.step(thresholds[g]!, normal[g]!, abnormal[g]!);
  const { values, roc, pr, sensitivityAt } = sweep.finish();

  const drawn = { auroc: [] as number[], ap: [] as number[], f1max: [] as number[] };
  const drawnNormal = new Uint32Array(thresholds.length);
  const drawnAbnormal = new Uint32Array(thresholds.length);
  resample(labels, Number.isNaN(values.auroc) ? { ...options, resamples: 0 } : options, (draws) => {
    drawnNormal.fill(0);
    drawnAbnormal.fill(0);
    for (let i = 0; i < draws.length; i++) {
      (labels[i] ? drawnAbnormal : drawnNormal)[groups.of[i]!]! += draws[i]!;
    }
    const totals = new Totals(normals, abnormals);
    for (let g = 0; g < thresholds.length; g++) {
      // A score that nobody drew is no threshold of this resample.
      if (drawnNormal[g] || drawnAbnormal[g]) totals.step(thresholds[g]!, drawnNormal[g]!, drawnAbnormal[g]!);
    }
    const { auroc, ap, f1max } = totals.values();
    drawn.auroc.push(auroc);
    drawn.ap.push(ap);
    drawn.f1max.push(f1max);
  });
  return {
    auroc: estimate(values.auroc, Float64Array.from(drawn.auroc)),
    ap: estimate(values.ap, Float64Array.from(drawn.ap)),
    f1max: { ...estimate(values.f1max, Float64Array.from(drawn.f1max)), threshold: values.f1Threshold },
    sensitivityAt,
    roc,
    pr,
  };
}

/**
 * Area under the ROC curve alone: the probability that an abnormal sample scores above a normal one, ties counted half (Mann and
 * Whitney 1947). @returns 0..1; NaN when one of the classes is missing.
 * @throws ShapeError when the lengths differ. @throws ValueError on a NaN score.
 */
export function auroc(labels: ArrayLike<number | boolean>, scores: ArrayLike<number>): number {
  const { thresholds, normal, abnormal, normals, abnormals } = groupByScore(labels, scores);
  const totals = new Totals(normals, abnormals);
  for (let g = 0; g < thresholds.length; g++) totals.step(thresholds[g]!, normal[g]!, abnormal[g]!);
  return totals.values().auroc;
}

export interface ScoreGroups {
  /** Distinct scores, descending, and how many samples of each class have them. */
  readonly thresholds: Float64Array;
  readonly normal: Uint32Array;
  readonly abnormal: Uint32Array;
  /** Of each sample, the index of its score. */
  readonly of: Uint32Array;
  readonly normals: number;
  readonly abnormals: number;
}

/** @throws ShapeError when the lengths differ. @throws ValueError on a NaN score. */
export function groupByScore(labels: ArrayLike<number | boolean>, scores: ArrayLike<number>): ScoreGroups {
  if (labels.length !== scores.length) {
    throw new ShapeError(`There are ${labels.length} labels for ${scores.length} scores.`);
  }
  for (let i = 0; i < scores.length; i++) {
    if (Number.isNaN(scores[i])) {
      throw new ValueError(`Score ${i} is not a number.`, 'Leave out images whose scores are invalid.');
    }
  }
  // Sorting numbers natively and looking each up is faster than sorting indices with a comparison. Sets and maps hold -0 as 0.
  const thresholds = Float64Array.from(new Set(Array.from(scores)))
    .sort()
    .reverse();
  const indexOf = new Map<number, number>();
  thresholds.forEach((score, g) => {
    indexOf.set(score, g);
  });
  const normal = new Uint32Array(thresholds.length);
  const abnormal = new Uint32Array(thresholds.length);
  const of = new Uint32Array(scores.length);
  let abnormals = 0;
  for (let i = 0; i < scores.length; i++) {
    const g = indexOf.get(scores[i]!)!;
    of[i] = g;
    if (labels[i]) {
      abnormal[g]!++;
      abnormals++;
    } else normal[g]!++;
  }
  return { thresholds, normal, abnormal, of, normals: scores.length - abnormals, abnormals };
}
