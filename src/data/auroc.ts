/**
 * Area under the ROC curve, exact, ties counted half: the probability that an abnormal sample scores above a normal one
 * (Mann and Whitney 1947; Fawcett 2006, section 7). The same number as scikit-learn's roc_auc_score.
 */
import { ShapeError, ValueError } from '../runtime/errors';

/**
 * @param labels 0 normal, anything else abnormal. @param scores higher means more abnormal.
 * @returns 0..1; NaN when one of the classes is missing, as nothing can be ranked then.
 * @throws ShapeError when the lengths differ. @throws ValueError on a NaN score.
 */
export function auroc(labels: ArrayLike<number | boolean>, scores: ArrayLike<number>): number {
  if (labels.length !== scores.length) {
    throw new ShapeError(`There are ${labels.length} labels for ${scores.length} scores.`);
  }
  let abnormal = 0;
  for (let i = 0; i < labels.length; i++) if (labels[i]) abnormal++;
  const positives = new Float64Array(abnormal);
  const negatives = new Float64Array(labels.length - abnormal);
  for (let i = 0, p = 0, n = 0; i < labels.length; i++) {
    const score = scores[i]!;
    if (Number.isNaN(score)) throw nanScore(i);
    if (labels[i]) positives[p++] = score;
    else negatives[n++] = score;
  }
  return rankSum(positives.sort(), negatives.sort());
}

/**
 * AUROC over the pixels of many images, taken one image at a time. Scores are kept as f32, four bytes a pixel: a histogram
 * would need less and would not be exact.
 */
export class PixelAuroc {
  private readonly positives = new Growing();
  private readonly negatives = new Growing();

  /**
   * @param mask 0 normal, anything else abnormal. @param map f32 scores of the same pixels.
   * @throws ShapeError when the lengths differ. @throws ValueError on a NaN score; nothing is taken then.
   */
  add(mask: ArrayLike<number>, map: Float32Array): void {
    if (mask.length !== map.length) {
      throw new ShapeError(`The mask has ${mask.length} pixels, the map ${map.length}.`);
    }
    const bad = map.findIndex(Number.isNaN);
    if (bad >= 0) throw nanScore(bad);
    for (let i = 0; i < map.length; i++) (mask[i] ? this.positives : this.negatives).push(map[i]!);
  }

  /** 0..1; NaN as long as one of the classes is missing. */
  value(): number {
    return rankSum(this.positives.sorted(), this.negatives.sorted());
  }
}

class Growing {
  private data = new Float32Array(1 << 16);
  private length = 0;

  push(value: number): void {
    if (this.length === this.data.length) {
      const larger = new Float32Array(this.data.length * 2);
      larger.set(this.data);
      this.data = larger;
    }
    this.data[this.length++] = value;
  }

  /** In place: order among equals is of no account, and the next call sorts what was added since. */
  sorted(): Float32Array {
    return this.data.subarray(0, this.length).sort();
  }
}

type Sorted = Float32Array | Float64Array;

/** Both ascending. Counts, for every positive, the negatives below it and half of those that equal it. */
function rankSum(positives: Sorted, negatives: Sorted): number {
  const pairs = positives.length * negatives.length;
  if (pairs === 0) return Number.NaN;
  let below = 0;
  let upTo = 0;
  let sum = 0;
  for (const score of positives) {
    while (below < negatives.length && negatives[below]! < score) below++;
    // Not from `below`: it may have passed the ties of the previous positive.
    while (upTo < negatives.length && negatives[upTo]! <= score) upTo++;
    sum += (below + upTo) / 2;
  }
  return sum / pairs;
}

function nanScore(index: number): ValueError {
  return new ValueError(`Score ${index} is not a number.`, 'Leave out images whose scores are invalid.');
}
