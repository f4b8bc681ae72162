/**
 * A threshold that was chosen on labelled images and is saved with a model, in its metadata: what `detect` needs to say normal or
 * abnormal and to draw a contour. Scores of the few-shot protocol come with the scaling they were made with.
 */
import { type CalibrationRule, calibrate } from '../metrics';
import { BadFileError, OptionError } from '../runtime/errors';
import { FusedResults, type Scaling } from './fusion';
import type { RawResults } from './raw-results';
import type { EvaluationRecord, Protocol } from './record';

export interface SavedCalibration {
  readonly version: 1;
  readonly protocol: Protocol;
  readonly rule: CalibrationRule;
  /** Image scores of at least this are called abnormal. */
  readonly image: number;
  /** Map values of at least this are inside the contour: the pixels' F1-max threshold. Absent without masks. */
  readonly pixel?: number;
  /** Of the few-shot protocol: how parts are scaled before they are mixed, and whether the map's maximum is the score. */
  readonly scaling?: Scaling;
  readonly fromMap: boolean;
  /** What it was chosen on. */
  readonly dataset: string;
  readonly split: string;
  readonly n: number;
}

/** The metadata's key in a model's file. */
export const CALIBRATION_KEY = 'calibration';

/** @throws ValueError unless there are images of both classes; OptionError for scores that no other image can be given. */
export function calibrationOf(
  record: EvaluationRecord,
  raw: RawResults,
  rule: CalibrationRule = 'f1max',
): SavedCalibration {
  const { images, pixel, protocol, dataset, n, configuration } = record;
  checkCanCalibrate(record.method, protocol);
  const { scaling } = new FusedResults(raw);
  const chosen = calibrate(
    images.map(({ abnormal }) => abnormal),
    images.map(({ score }) => score),
    rule,
  );
  return {
    version: 1,
    protocol,
    rule: chosen.rule,
    image: chosen.threshold,
    ...(pixel && { pixel: pixel.f1max.threshold }),
    ...(scaling && { scaling }),
    fromMap: scaling !== undefined && raw.header.hasMasks,
    dataset,
    split: String(configuration.split ?? ''),
    n,
  };
}

/** @throws OptionError for scores that no other image can be given. */
export function checkCanCalibrate(method: string | undefined, protocol: Protocol): void {
  if (method !== 'april-gan' || protocol !== 'few-shot') return;
  throw new OptionError(
    'Few-shot scores of april-gan are scaled by a whole test set: a threshold of them holds for no other image.',
    'Calibrate it zero-shot (--bank off).',
  );
}

/** What a model's metadata says; undefined where it says nothing. @throws BadFileError */
export function readCalibration(
  metadata: ReadonlyMap<string, string>,
  label: string,
): SavedCalibration | undefined {
  const text = metadata.get(CALIBRATION_KEY);
  if (text === undefined) return undefined;
  try {
    const saved = JSON.parse(text) as SavedCalibration;
    if (saved.version === 1 && Number.isFinite(saved.image)) return saved;
  } catch {
    // Said below.
  }
  throw new BadFileError(
    label,
    'its calibration cannot be read',
    'Calibrate again: mla-lp eval --calibrate.',
  );
}
