import { openLinearLayers } from '../io/linear-layers';
import { AprilGanDetector } from '../model/april-gan/detector';
import type { Clip } from '../model/clip';
import { gridFor } from '../model/clip-config';
import { fixedColumns } from '../model/fixed-columns';
import { presetNamed } from '../model/presets';
import type { PromptSet } from '../model/prompts';
import { OptionError } from '../runtime/errors';
import { type DetectionModel, type DetectOutcome, detectInBatches } from './detect-each';
import { closingOnError, openTensors, type WeightsInput } from './load-clip';
import { type BankInput, referenceImages } from './memory-bank';
import { sentencesFor, trainedWith } from './mla-lp';
import type { ImageInput } from './platform';

export interface AprilGanOptions {
  /** Trained linear layers: ours (safetensors) or the authors' .pth. */
  readonly checkpoint: WeightsInput;
  /** What the sentences call the object, e.g. "Brain"; what the layers were trained with, else "medical image". */
  readonly object?: string;
  /** Sentences instead of the published ones; those that the layers were trained with, if the file says so. */
  readonly prompts?: PromptSet;
  /** Sentences that come with the CLIP weights, where nothing else names any. */
  readonly nativePrompts?: PromptSet;
  /** Which GELU both towers have: `authors` the exact one, `paper` QuickGELU; what the layers were trained with, else `authors`. */
  readonly preset?: 'authors' | 'paper';
  /** Side the model runs at, px; what the layers were trained with, else `nativeImageSize`. */
  readonly imageSize?: number;
  /** Side that the CLIP weights are made for, px; 240 unless told. */
  readonly nativeImageSize?: number;
  /** Images per run; 1 on software adapters, else 8, unless told. */
  readonly batch?: number;
  /** Few-shot: normal images to compare with, as they are (`augment` is not looked at). */
  readonly bank?: BankInput;
  /** Whether pixels are normalised as CLIP was trained; true unless told. */
  readonly normalise?: boolean;
}

/**
 * APRIL-GAN (Chen et al. 2023): linear layers on the patch tokens of four stages. A detection's `score` is P(abnormal) of the image,
 * 0..1, which nothing was trained for; its `map` is the sum over stages of P(abnormal), whose means over pixels are the `levels`.
 */
export class AprilGan implements DetectionModel {
  readonly method = 'april-gan';
  readonly hasMemory = false;

  private constructor(
    readonly preset: 'authors' | 'paper',
    private readonly detector: AprilGanDetector,
    readonly batch: number,
  ) {}

  get imageSize(): number {
    return this.detector.options.imageSize;
  }

  /** Encodes the sentences, uploads the layers. @throws OptionError, ShapeError, BadFileError before GPU work starts. */
  static async load(clip: Clip, options: AprilGanOptions): Promise<AprilGan> {
    const { normalise = true } = options;
    const batch = options.batch ?? (clip.gpu.caps.software ? 1 : 8);
    if (!Number.isInteger(batch) || batch < 1)
      throw new OptionError(`A batch of ${batch} images is no batch.`);
    const stored = await openTensors(options.checkpoint);
    const { source, stages } = await closingOnError(stored, () => openLinearLayers(stored, clip.config));
    try {
      const made = await trainedWith(source, clip);
      const imageSize = options.imageSize ?? made.imageSize ?? options.nativeImageSize ?? 240;
      gridFor(clip.config, imageSize);
      const { activation, name } = presetNamed(options.preset ?? made.preset ?? 'authors');
      AprilGanDetector.check(clip, { activation, imageSize, stages }, batch);
      const text = await fixedColumns(clip, sentencesFor(options, made), activation);
      clip.releaseText();
      const shape = { activation, imageSize, stages, text, normalise };
      const references = referenceImages(options.bank, 'april-gan', imageSize);
      return new AprilGan(name, await AprilGanDetector.create(clip, shape, source, references), batch);
    } finally {
      await source.close();
    }
  }

  /** Yields one outcome an image, in order. @throws DeviceLostError and the like; AbortedError when `signal` fires. */
  detectEach(images: Iterable<ImageInput>, signal?: AbortSignal): AsyncGenerator<DetectOutcome> {
    const { batch, imageSize } = this;
    const run = (pixels: readonly Float32Array[]) => this.detector.run(pixels, batch);
    return detectInBatches(images, { batch, imageSize, run }, signal);
  }

  /** Frees what this model holds on the device; the CLIP stays loaded. */
  destroy(): Promise<void> {
    return this.detector.destroy();
  }
}
