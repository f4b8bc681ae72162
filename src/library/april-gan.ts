import { readCalibration } from '../evaluation/calibration';
import { openLinearLayers } from '../io/linear-layers';
import { AprilGanDetector } from '../model/april-gan/detector';
import type { Clip } from '../model/clip';
import { gridFor } from '../model/clip-config';
import { fixedColumns } from '../model/fixed-columns';
import { presetNamed } from '../model/presets';
import { ComparisonModel, type ComparisonOptions, checkBatch } from './comparison-model';
import { closingOnError, openTensors, type WeightsInput } from './load-clip';
import { referenceImages } from './memory-bank';
import { sentencesFor, trainedWith } from './mla-lp';

export interface AprilGanOptions extends ComparisonOptions {
  /** Trained linear layers: ours (safetensors) or the authors' .pth. */
  readonly checkpoint: WeightsInput;
}

/**
 * APRIL-GAN (Chen et al. 2023): linear layers on the patch tokens of four stages, few-shot with normal images to compare with. A
 * detection's `score` is P(abnormal) of the image, 0..1, which nothing was trained for; its `map` is the sum over stages of
 * P(abnormal), whose means over pixels are the `levels`, and few-shot of the distances.
 */
export class AprilGan extends ComparisonModel {
  readonly method = 'april-gan';

  /** Encodes the sentences, uploads the layers. @throws OptionError, ShapeError, BadFileError before GPU work starts. */
  static async load(clip: Clip, options: AprilGanOptions): Promise<AprilGan> {
    const { normalise = true } = options;
    const batch = checkBatch(options.batch ?? (clip.gpu.caps.software ? 1 : 8));
    const stored = await openTensors(options.checkpoint);
    const { source, stages } = await closingOnError(stored, () => openLinearLayers(stored, clip.config));
    try {
      const made = await trainedWith(source, clip);
      const imageSize = options.imageSize ?? made.imageSize ?? options.nativeImageSize ?? 240;
      gridFor(clip.config, imageSize);
      const { activation, name } = presetNamed(options.preset ?? made.preset ?? 'authors');
      AprilGanDetector.check(clip, { activation, imageSize, stages }, batch);
      const references = referenceImages(options.bank, 'april-gan', imageSize);
      const text = await fixedColumns(clip, sentencesFor(options, made), activation);
      clip.releaseText();
      const shape = { activation, imageSize, stages, text, normalise };
      const said = options.prompts ?? options.object;
      const sameWords = said === undefined || said === made.object;
      // Scores of another size, preset or sentence, or with references, are other scores.
      const asMade = imageSize === made.imageSize && name === made.preset && sameWords && normalise;
      const calibration = asMade && !references ? readCalibration(source.metadata, source.label) : undefined;
      const detector = await AprilGanDetector.create(clip, shape, source, references);
      return new AprilGan(name, detector, batch, calibration);
    } finally {
      await source.close();
    }
  }
}
