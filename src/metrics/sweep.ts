/** One pass over the distinct scores, highest first, that gives values, curves and operating points. */
import { OptionError } from '../runtime/errors';
import { CurveBuilder } from './curve';
import type { Curve, OperatingPoint } from './metrics';
import { Totals, type Values } from './totals';

export type WantedPoint = OperatingPoint & { readonly wanted: number };

export class Sweep {
  readonly totals: Totals;
  private readonly roc = new CurveBuilder();
  private readonly pr = new CurveBuilder();
  private readonly points: { wanted: number; tp: number; fp: number; threshold: number }[];

  /** @throws OptionError on a specificity outside 0..1. */
  constructor(normals: number, abnormals: number, regions: number, specificities: readonly number[]) {
    for (const wanted of specificities) {
      if (!(wanted >= 0 && wanted <= 1))
        throw new OptionError(`${wanted} is no specificity.`, 'Give 0 to 1.');
    }
    this.totals = new Totals(normals, abnormals, regions);
    this.points = specificities.map((wanted) => ({
      wanted,
      tp: 0,
      fp: 0,
      threshold: Number.POSITIVE_INFINITY,
    }));
    if (normals > 0 && abnormals > 0) {
      this.roc.add(0, 0, Number.POSITIVE_INFINITY);
      this.pr.add(0, 1, Number.POSITIVE_INFINITY);
    }
  }

  /** As `Totals.step`. */
  step(threshold: number, normals: number, abnormals: number, covered = 0): void {
    const { totals } = this;
    totals.step(threshold, normals, abnormals, covered);
    const { normals: n, abnormals: p, truePositives: tp, falsePositives: fp } = totals;
    if (n === 0 || p === 0) return;
    this.roc.add(fp / n, tp / p, threshold);
    this.pr.add(tp / p, tp / (tp + fp), threshold);
    if (abnormals === 0) return;
    for (let i = 0; i < this.points.length; i++) {
      const point = this.points[i]!;
      // Every step with abnormal samples raises the sensitivity, so the last that qualifies is the best.
      if ((n - fp) / n < point.wanted) continue;
      point.tp = tp;
      point.fp = fp;
      point.threshold = threshold;
    }
  }

  /** After the last step. */
  finish(): { values: Values; roc: Curve; pr: Curve; sensitivityAt: WantedPoint[] } {
    const { normals, abnormals } = this.totals;
    const defined = normals > 0 && abnormals > 0;
    return {
      values: this.totals.values(),
      roc: this.roc.build(),
      pr: this.pr.build(),
      sensitivityAt: this.points.map(({ wanted, tp, fp, threshold }) => ({
        wanted,
        specificity: defined ? (normals - fp) / normals : Number.NaN,
        sensitivity: defined ? tp / abnormals : Number.NaN,
        threshold: defined ? threshold : Number.NaN,
      })),
    };
  }
}
