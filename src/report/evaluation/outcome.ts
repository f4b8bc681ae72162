/** Right and wrong at the threshold of the largest F1, and which images are worth a look. */
import type { EvaluatedImage, EvaluationRecord } from '../../evaluation/record';

export type Outcome = 'true positive' | 'false positive' | 'true negative' | 'false negative';

/** Scores of at least the threshold are called abnormal. Nothing where the score is invalid or there is no threshold. */
export function outcomeOf(
  { abnormal, score }: Pick<EvaluatedImage, 'abnormal' | 'score'>,
  threshold: number,
): Outcome | undefined {
  if (Number.isNaN(score) || Number.isNaN(threshold)) return undefined;
  if (score >= threshold) return abnormal ? 'true positive' : 'false positive';
  return abnormal ? 'false negative' : 'true negative';
}

/** Indices of the images that each outcome holds; mistakes furthest from the threshold come first. */
export type Outcomes = Readonly<Record<Outcome, readonly number[]>>;

export function outcomes({ images, image }: EvaluationRecord): Outcomes {
  const all: Record<Outcome, number[]> = {
    'true positive': [],
    'false positive': [],
    'true negative': [],
    'false negative': [],
  };
  images.forEach((entry, i) => {
    const outcome = outcomeOf(entry, image.f1max.threshold);
    if (outcome) all[outcome].push(i);
  });
  const score = (i: number) => images[i]!.score;
  all['false negative'].sort((a, b) => score(a) - score(b));
  all['false positive'].sort((a, b) => score(b) - score(a));
  return all;
}

/**
 * All images in the order in which they get pictures, for as long as there is room: the `worst` mistakes of each kind, then the other
 * mistakes, then the rest so that any number of them is spread evenly over the scores.
 */
export function pictureOrder({ images }: EvaluationRecord, found: Outcomes, worst: number): number[] {
  const kinds = [found['false negative'], found['false positive']];
  const order = [
    ...kinds.flatMap((kind) => kind.slice(0, worst)),
    ...kinds.flatMap((kind) => kind.slice(worst)),
  ];
  const mistakes = new Set(order);
  const rest = images.map((_, i) => i).filter((i) => !mistakes.has(i));
  rest.sort((a, b) => images[b]!.score - images[a]!.score || a - b);
  // The ends, then the middle, then the quarters, ...: each round halves the gaps.
  const taken = new Set<number>();
  for (let step = rest.length - 1; rest.length > 0; step /= 2) {
    const gap = Math.max(1, step);
    for (let at = 0; at <= rest.length - 1; at += gap) taken.add(rest[Math.round(at)]!);
    if (gap === 1) break;
  }
  return [...order, ...taken];
}
