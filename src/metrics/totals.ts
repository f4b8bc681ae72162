/**
 * What one sweep over the thresholds, highest first, adds up to: the areas and the best F1. Every number of this folder, of
 * images, pixels and bootstrap resamples alike, comes out of these lines.
 */
export interface Values {
  readonly auroc: number;
  readonly ap: number;
  readonly f1max: number;
  /** Scores of at least this give `f1max`: the highest such threshold. */
  readonly f1Threshold: number;
  readonly aupro: number;
}

/** False positive rate up to which the per-region overlap is integrated (Bergmann et al. 2020, section 5.2). */
export const AUPRO_LIMIT = 0.3;

export class Totals {
  /** Samples of each class among those with scores of at least the last threshold. */
  truePositives = 0;
  falsePositives = 0;
  private rankArea = 0;
  private precisionSum = 0;
  private best = 0;
  private bestThreshold = Number.POSITIVE_INFINITY;
  private overlap = 0;
  private overlapArea = 0;

  /** @param normals @param abnormals how many there are in all. @param regions abnormal regions in all, for AUPRO. */
  constructor(
    readonly normals: number,
    readonly abnormals: number,
    readonly regions = 0,
  ) {}

  /**
   * The samples whose scores equal `threshold`: call it in descending order, once for each distinct score.
   * @param covered sum over the abnormal samples of 1 / size of their region.
   */
  step(threshold: number, normals: number, abnormals: number, covered = 0): void {
    const tp = this.truePositives + abnormals;
    const fp = this.falsePositives + normals;
    // Trapezoid: abnormal samples above, and half of those that tie (Fawcett 2006, section 7).
    this.rankArea += (normals * (this.truePositives + tp)) / 2;
    if (abnormals > 0) {
      // Sum of precision times the step in recall, without interpolation (average_precision_score).
      this.precisionSum += (abnormals * tp) / (tp + fp);
      const f1 = (2 * tp) / (tp + fp + this.abnormals);
      if (f1 > this.best) {
        this.best = f1;
        this.bestThreshold = threshold;
      }
    }
    if (this.regions > 0) {
      const overlap = this.overlap + covered;
      const room = AUPRO_LIMIT * this.normals - this.falsePositives;
      if (normals > 0 && room > 0) {
        const width = Math.min(normals, room);
        // At the limit the curve is cut between two of its points.
        const end = this.overlap + (covered * width) / normals;
        this.overlapArea += (width * (this.overlap + end)) / 2;
      }
      this.overlap = overlap;
    }
    this.truePositives = tp;
    this.falsePositives = fp;
  }

  /** After the last step. NaN where a class is missing: nothing can be ranked then. */
  values(): Values {
    const { normals, abnormals, regions } = this;
    const defined = normals > 0 && abnormals > 0;
    return {
      auroc: defined ? this.rankArea / normals / abnormals : Number.NaN,
      ap: defined ? this.precisionSum / abnormals : Number.NaN,
      f1max: defined ? this.best : Number.NaN,
      f1Threshold: defined ? this.bestThreshold : Number.NaN,
      aupro: defined && regions > 0 ? this.overlapArea / (AUPRO_LIMIT * normals * regions) : Number.NaN,
    };
  }
}
