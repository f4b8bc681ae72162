/** The definitions, word by word, in as many loops as they take. */

export interface Sample {
  readonly abnormal: boolean;
  readonly score: number;
}

export function thresholdsOf(samples: readonly Sample[]): number[] {
  return [...new Set(samples.map(({ score }) => score))].sort((a, b) => b - a);
}

export function confusion(samples: readonly Sample[], threshold: number) {
  const count = (abnormal: boolean, called: boolean) =>
    samples.filter((s) => s.abnormal === abnormal && s.score >= threshold === called).length;
  return { tp: count(true, true), fn: count(true, false), fp: count(false, true), tn: count(false, false) };
}

export function naiveAuroc(samples: readonly Sample[]): number {
  let won = 0;
  let pairs = 0;
  for (const a of samples) {
    for (const b of samples) {
      if (!a.abnormal || b.abnormal) continue;
      pairs++;
      won += a.score > b.score ? 1 : a.score === b.score ? 0.5 : 0;
    }
  }
  return won / pairs;
}

/** Sum of (recall - recall before) * precision. */
export function naiveAp(samples: readonly Sample[]): number {
  let before = 0;
  let sum = 0;
  for (const threshold of thresholdsOf(samples)) {
    const { tp, fp, fn } = confusion(samples, threshold);
    const recall = tp / (tp + fn);
    sum += (recall - before) * (tp / (tp + fp));
    before = recall;
  }
  return sum;
}

/** Harmonic mean of precision and recall, as it is written on scikit-learn's precision_recall_curve. */
export function naiveF1(samples: readonly Sample[], threshold: number): number {
  const { tp, fp, fn } = confusion(samples, threshold);
  const precision = tp / (tp + fp);
  const recall = tp / (tp + fn);
  return precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall);
}

export function naiveSensitivityAt(samples: readonly Sample[], specificity: number): number {
  let best = 0;
  for (const threshold of thresholdsOf(samples)) {
    const { tp, fn, fp, tn } = confusion(samples, threshold);
    if (tn / (tn + fp) >= specificity) best = Math.max(best, tp / (tp + fn));
  }
  return best;
}

/** Label of each pixel's region, 0 outside: labels spread until nothing changes. */
export function naiveRegions(mask: ArrayLike<number>, width: number): number[] {
  const labels = Array.from(mask, (m, i) => (m ? i + 1 : 0));
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = 0; i < labels.length; i++) {
      for (let j = 0; j < labels.length; j++) {
        const near =
          Math.abs((i % width) - (j % width)) <= 1 &&
          Math.abs(Math.floor(i / width) - Math.floor(j / width)) <= 1;
        if (near && labels[i]! > 0 && labels[j]! > labels[i]!) {
          labels[i] = labels[j]!;
          changed = true;
        }
      }
    }
  }
  return labels;
}

export interface NaiveImage {
  readonly map: ArrayLike<number>;
  readonly mask: ArrayLike<number>;
  readonly width: number;
}

export function naiveAupro(images: readonly NaiveImage[], limit = 0.3): number {
  const regions: number[][] = [];
  const normal: number[] = [];
  const all: number[] = [];
  for (const { map, mask, width } of images) {
    const labels = naiveRegions(mask, width);
    for (const label of new Set(labels)) {
      const scores = Array.from(map).filter((_, i) => labels[i] === label);
      if (label === 0) normal.push(...scores);
      else regions.push(scores);
    }
    all.push(...Array.from(map));
  }
  const share = (scores: readonly number[], t: number) => scores.filter((s) => s >= t).length / scores.length;
  const points = [[0, 0] as const].concat(
    [...new Set(all)]
      .sort((a, b) => b - a)
      .map((t) => {
        const overlap = regions.reduce((sum, region) => sum + share(region, t), 0) / regions.length;
        return [share(normal, t), overlap] as never;
      }),
  ) as (readonly [number, number])[];
  let area = 0;
  for (let i = 1; i < points.length; i++) {
    const [x0, y0] = points[i - 1]!;
    let [x1, y1] = points[i]!;
    if (x0 >= limit) break;
    if (x1 > limit) {
      y1 = y0 + ((y1 - y0) * (limit - x0)) / (x1 - x0);
      x1 = limit;
    }
    area += ((x1 - x0) * (y0 + y1)) / 2;
  }
  return area / limit;
}
