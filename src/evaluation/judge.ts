/** Normal or abnormal: a detection against a model's saved threshold. */
import type { Detection } from '../model/detector';
import type { SavedCalibration } from './calibration';
import { fuseMaps, fuseScores } from './fusion';
import { rangeOf } from './raw-results';

export interface Judgement {
  readonly label: 'normal' | 'abnormal';
  /** What was compared with the threshold: of the few-shot protocol a fused score, scaled as when the threshold was chosen. */
  readonly score: number;
  /** f32 [size, size]: what the contour's threshold is of. */
  readonly map: Float32Array<ArrayBuffer>;
  /** Map values of at least this are inside the contour; undefined where the threshold was chosen without masks. */
  readonly contour: number | undefined;
}

/** @returns undefined where the threshold is of the few-shot protocol and the detection has no distances to a bank. */
export function judge(detection: Detection, calibration: SavedCalibration): Judgement | undefined {
  const { scaling, fromMap, image, pixel } = calibration;
  let { score, map } = detection;
  if (scaling) {
    const { memory } = detection;
    if (!memory) return undefined;
    map = fuseMaps({ zeroShot: detection.map, fewShot: memory.map }, scaling);
    score = fromMap ? rangeOf(map)[1] : fuseScores({ zeroShot: score, fewShot: memory.detMean }, scaling);
  }
  return { label: score >= image ? 'abnormal' : 'normal', score, map, contour: pixel };
}

/** Says where a threshold comes from. */
export function describeCalibration({ image, rule, dataset, split, n, protocol }: SavedCalibration): string {
  const where = split ? `${dataset}, ${split}` : dataset;
  return `${image.toPrecision(5)}, ${rule} on ${n} images (${where}; ${protocol} protocol)`;
}
