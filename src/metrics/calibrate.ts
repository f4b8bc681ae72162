/** A threshold chosen on labelled scores, to be kept with the model. */
import { OptionError, ValueError } from '../runtime/errors';
import { groupByScore } from './ranking';
import { Sweep } from './sweep';

/**
 * `f1max`: the largest F1. `youden`: the largest sensitivity + specificity - 1 (Youden 1950). `specificity=S`: the highest
 * sensitivity at a specificity of at least S. Of several thresholds that do equally well, the highest.
 */
export type CalibrationRule = 'f1max' | 'youden' | `specificity=${number}`;

export interface Calibration {
  /** Scores of at least this are called abnormal. */
  readonly threshold: number;
  readonly rule: CalibrationRule;
}

/** @throws OptionError when `text` is no rule. */
export function parseCalibrationRule(text: string): CalibrationRule {
  if (text === 'f1max' || text === 'youden') return text;
  const wanted = /^specificity=(0(?:\.\d+)?|1(?:\.0+)?|\d(?:\.\d+)?e-\d+)$/.exec(text)?.[1];
  if (wanted !== undefined) return `specificity=${Number(wanted)}`;
  throw new OptionError(
    `"${text}" is no rule for a threshold.`,
    'Give f1max, youden, or specificity=0.95 (any number from 0 to 1).',
  );
}

/**
 * @param labels 0 or false: normal; anything else: abnormal. @param scores higher means more abnormal.
 * @throws ShapeError when the lengths differ. @throws OptionError when `rule` is none.
 * @throws ValueError on a NaN score, when a class is missing, or when no threshold finds anything at that specificity.
 */
export function calibrate(
  labels: ArrayLike<number | boolean>,
  scores: ArrayLike<number>,
  rule: CalibrationRule = 'f1max',
): Calibration {
  const parsed = parseCalibrationRule(rule);
  const { thresholds, normal, abnormal, normals, abnormals } = groupByScore(labels, scores);
  if (normals === 0 || abnormals === 0) {
    throw new ValueError(
      `A threshold cannot be chosen from ${normals} normal and ${abnormals} abnormal images.`,
      'Calibrate on images of both kinds.',
    );
  }
  const wanted = parsed.startsWith('specificity=') ? [Number(parsed.slice('specificity='.length))] : [];
  const sweep = new Sweep(normals, abnormals, 0, wanted);
  let youden = Number.NaN;
  let best = 0;
  for (let g = 0; g < thresholds.length; g++) {
    sweep.step(thresholds[g]!, normal[g]!, abnormal[g]!);
    const { truePositives, falsePositives } = sweep.totals;
    // Times both class sizes: whole numbers, so that equals compare equal.
    const index = truePositives * normals - falsePositives * abnormals;
    if (index > best) {
      best = index;
      youden = thresholds[g]!;
    }
  }
  const { values, sensitivityAt } = sweep.finish();
  const threshold =
    parsed === 'f1max' ? values.f1Threshold : parsed === 'youden' ? youden : sensitivityAt[0]!.threshold;
  if (!Number.isFinite(threshold)) {
    throw new ValueError(
      `No threshold separates anything by the rule ${parsed}: normal images score as high as abnormal ones.`,
      'Choose another rule, or train a better model.',
    );
  }
  return { threshold, rule: parsed };
}
