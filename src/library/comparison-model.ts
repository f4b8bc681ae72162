/** What the comparison methods (WinCLIP, APRIL-GAN) have in common: options, and the stream of images. */
import type { SavedCalibration } from '../evaluation/calibration';
import type { Detection } from '../model/detector';
import type { PromptSet } from '../model/prompts';
import { OptionError, type ValueError } from '../runtime/errors';
import { type DetectionModel, type DetectOutcome, detectInBatches, type StageObserver } from './detect-each';
import type { BankInput } from './memory-bank';
import type { ImageInput } from './platform';

export interface ComparisonOptions {
  /** What the sentences call the object, e.g. "Brain"; what a checkpoint was trained with, else "medical image". */
  readonly object?: string;
  /** Sentences instead of the published ones; those that a checkpoint was trained with, if it says so. */
  readonly prompts?: PromptSet;
  /** Sentences that come with the CLIP weights, where nothing else names any. */
  readonly nativePrompts?: PromptSet;
  /** Which GELU both towers have: `authors` the exact one, `paper` QuickGELU; what a checkpoint was trained with, else `authors`. */
  readonly preset?: 'authors' | 'paper';
  /** Side the model runs at, px; what a checkpoint was trained with, else `nativeImageSize`. */
  readonly imageSize?: number;
  /** Side that the CLIP weights are made for, px; 240 unless told. */
  readonly nativeImageSize?: number;
  /** Images per run; of april-gan 1 on software adapters, else 8, of winclip 1, unless told. */
  readonly batch?: number;
  /** Few-shot: normal images to compare with, as they are (`augment` is not looked at). */
  readonly bank?: BankInput;
  /** Whether pixels are normalised as CLIP was trained; true unless told. */
  readonly normalise?: boolean;
}

/** A detector of the model layer. */
interface BatchDetector {
  readonly options: { readonly imageSize: number };
  run(images: readonly Float32Array[], batch: number): Promise<(Detection | ValueError)[]>;
  destroy(): Promise<void>;
}

export abstract class ComparisonModel implements DetectionModel {
  abstract readonly method: string;
  /** Few-shot results are fused already: there is no memory to fuse with. */
  readonly hasMemory = false;

  protected constructor(
    readonly preset: 'authors' | 'paper',
    private readonly detector: BatchDetector,
    /** Images per run. */
    readonly batch: number,
    readonly calibration?: SavedCalibration,
  ) {}

  get imageSize(): number {
    return this.detector.options.imageSize;
  }

  /** Yields one outcome an image, in order. @throws DeviceLostError and the like; AbortedError when `signal` fires. */
  detectEach(
    images: Iterable<ImageInput>,
    signal?: AbortSignal,
    observe?: StageObserver,
  ): AsyncGenerator<DetectOutcome> {
    const { batch, imageSize } = this;
    const run = (pixels: readonly Float32Array[]) => this.detector.run(pixels, batch);
    return detectInBatches(images, { batch, imageSize, run }, signal, observe);
  }

  /** Frees what this model holds on the device; the CLIP stays loaded. */
  destroy(): Promise<void> {
    return this.detector.destroy();
  }
}

/** @throws OptionError */
export function checkBatch(batch: number): number {
  if (Number.isInteger(batch) && batch > 0) return batch;
  throw new OptionError(`A batch of ${batch} images is no batch.`);
}
