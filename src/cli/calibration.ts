import { CALIBRATION_KEY, calibrationOf, checkCanCalibrate } from '../evaluation/calibration';
import type { RawResults } from '../evaluation/raw-results';
import type { EvaluationRecord } from '../evaluation/record';
import { fileBytes } from '../io/node/file-bytes';
import { saveGeneration } from '../io/node/generations';
import { openWeights } from '../io/open-weights';
import { modelChunks, readTrainingState } from '../io/training-state';
import { parseCalibrationRule } from '../metrics';
import { OptionError } from '../runtime/errors';
import type { TrainingState } from '../training/state';
import type { BankFlags, ModelFlags } from './evaluation-flags';

/**
 * Saves a threshold with a model of ours.
 * @param rule `true`: the default one. @throws OptionError for other models' files; BadFileError where it is damaged.
 */
export async function saveCalibration(
  model: string,
  record: EvaluationRecord,
  raw: RawResults,
  rule: string | true,
): Promise<void> {
  const calibration = calibrationOf(record, raw, rule === true ? 'f1max' : parseCalibrationRule(rule));
  const state = await readModel(model);
  const metadata = new Map([...state.metadata, [CALIBRATION_KEY, JSON.stringify(calibration)] as const]);
  await saveGeneration(model, modelChunks({ ...state, metadata }));
  const pixel = calibration.pixel === undefined ? '' : `, pixels at ${calibration.pixel.toPrecision(5)}`;
  console.error(
    `Threshold ${calibration.image.toPrecision(5)} (${calibration.rule})${pixel} is saved in ${model}.` +
      (calibration.split === 'test'
        ? ' It was chosen on test images: do not report results at it on the same ones.'
        : ''),
  );
}

/**
 * Before long work begins. `detect` applies a threshold to scores of the model as it was trained, so it is chosen on such scores.
 * @throws OptionError for files that no threshold can be saved in, and for flags that make other scores.
 */
export async function checkCalibratable(
  model: string,
  { imageSize, preset, object, prompts, bank }: ModelFlags & Pick<BankFlags, 'bank'>,
): Promise<void> {
  const { metadata } = await readModel(model);
  checkCanCalibrate(metadata.get('method'), bank === 'on' ? 'few-shot' : 'zero-shot');
  const other = [
    ['--image-size', imageSize !== undefined && String(imageSize) !== metadata.get('imageSize')],
    ['--preset', preset !== undefined && preset !== metadata.get('preset')],
    ['--object', object !== undefined && object !== metadata.get('object')],
    ['--prompts', prompts !== undefined],
  ] as const;
  const found = other.find(([, differs]) => differs);
  if (found)
    throw new OptionError(
      `${model} was trained with another ${found[0]}: a threshold of such scores would not be of its own.`,
      'Leave it out to calibrate.',
    );
}

async function readModel(path: string): Promise<TrainingState> {
  const source = await openWeights(await fileBytes(path));
  try {
    if (!source.metadata.has('format'))
      throw new OptionError(
        `${path}: a threshold can be saved in models that mla-lp wrote only.`,
        'Make one of it: mla-lp convert.',
      );
    return await readTrainingState(source);
  } finally {
    await source.close();
  }
}
