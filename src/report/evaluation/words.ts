/** What the numbers mean, in sentences for someone who does not compute them. */
import type { EvaluationRecord, Selection } from '../../evaluation/record';
import type { Estimate } from '../../metrics/metrics';
import { plural } from '../page';
import { percent, score } from './format';
import type { Outcomes } from './outcome';

export const selections: Readonly<Record<Selection, string>> = {
  'last-epoch': 'last epoch',
  'best-on-test':
    'best epoch on the test set: this looks at the test set, as the authors do; numbers are optimistic',
};

export const protocols = {
  'few-shot': 'few-shot: zero-shot results fused with distances to a memory bank',
  'zero-shot': 'zero-shot: no memory bank',
} as const;

/** Plain text, a paragraph each. */
export function reading(record: EvaluationRecord, found: Outcomes): string[] {
  const { image, pixel, images } = record;
  const abnormal = images.filter((entry) => entry.abnormal).length;
  const normal = images.length - abnormal;
  if (!Number.isFinite(image.auroc.value)) {
    return [
      `Nothing can be ranked here: an image metric needs abnormal and normal images, and this data set has ${abnormal} abnormal and ${normal} normal ones.`,
      ...pixelReading(pixel?.auroc),
    ];
  }
  const { threshold } = image.f1max;
  const caught = found['true positive'].length;
  const alarms = found['false positive'].length;
  return [
    `Take one abnormal and one normal image at random: the abnormal one gets the higher score in ${percent(image.auroc.value)} of such pairs${range(image.auroc)}. Guessing gets 50\u00a0%.`,
    `Call every image with a score of at least ${score(threshold)} abnormal, the threshold with the best balance of precision and recall: that finds ${caught} of ${plural(abnormal, 'abnormal image')} and raises ${plural(alarms, 'false alarm')} on ${plural(normal, 'normal image')}. The threshold was chosen on these same images, so expect somewhat worse on new ones.`,
    ...pixelReading(pixel?.auroc),
    'The intervals tell how much the numbers would move with another draw of images like these. They tell nothing about other scanners, hospitals or patients.',
  ];
}

function pixelReading(auroc: Estimate | undefined): string[] {
  if (auroc === undefined)
    return ['This data set has no outlines of what is abnormal, so nothing is said about where.'];
  if (!Number.isFinite(auroc.value))
    return ['Pixels cannot be ranked: none is marked as abnormal, or none as normal.'];
  return [
    `Of a pixel inside a marked region and one outside, the map puts the one inside higher in ${percent(auroc.value)} of pairs${range(auroc)}. Most pixels are easy background; average precision and AUPRO show better how well regions are met.`,
  ];
}

function range({ low, high }: Estimate): string {
  return Number.isFinite(low) && Number.isFinite(high)
    ? ` (95\u00a0% interval: ${percent(low)} to ${percent(high)})`
    : '';
}
