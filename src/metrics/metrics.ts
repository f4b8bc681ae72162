/** What the metrics of an evaluation are. All values are fractions of 1, not per cent. */

/** A value with its 95 % bootstrap interval, images drawn with replacement. Bounds are NaN where none could be had. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** A curve's corner points, in drawing order. `threshold[i]`: a sample counts as abnormal when its score is at least this. */
export interface Curve {
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly threshold: readonly number[];
}

export interface OperatingPoint {
  readonly specificity: number;
  readonly sensitivity: number;
  /** Scores of at least this are called abnormal. */
  readonly threshold: number;
}

/** Over samples that carry a label and a score: images, or pixels. scikit-learn's definitions. */
export interface RankingMetrics {
  /** roc_auc_score. */
  readonly auroc: Estimate;
  /** average_precision_score. */
  readonly ap: Estimate;
  /** The largest F1 over all thresholds, and the threshold of it. */
  readonly f1max: Estimate & { readonly threshold: number };
  /** Highest sensitivity at no less than each wanted specificity. */
  readonly sensitivityAt: readonly (OperatingPoint & { readonly wanted: number })[];
  /** x: 1 - specificity, y: sensitivity. At most 512 points. */
  readonly roc: Curve;
  /** x: recall, y: precision. At most 512 points. */
  readonly pr: Curve;
}

export interface PixelMetrics extends RankingMetrics {
  /** Area under the per-region overlap curve up to 30 % false positive rate, divided by 0.3 (Bergmann et al. 2020). */
  readonly aupro: Estimate;
}
