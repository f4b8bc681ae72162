import type { Clip } from '../model/clip';
import { gridFor } from '../model/clip-config';
import { fixedColumns } from '../model/fixed-columns';
import { presetNamed } from '../model/presets';
import { DEFAULT_OBJECT, type PromptSet } from '../model/prompts';
import { WinClipDetector } from '../model/winclip/detector';
import { winClipPrompts } from '../model/winclip/prompts';
import { OptionError } from '../runtime/errors';
import { type DetectionModel, type DetectOutcome, detectInBatches } from './detect-each';
import { type BankInput, referenceImages } from './memory-bank';
import type { ImageInput } from './platform';

export interface WinClipOptions {
  /** What the sentences call the object, e.g. "Brain"; "medical image" unless told. */
  readonly object?: string;
  /** Sentences instead of the published states and templates. */
  readonly prompts?: PromptSet;
  /** Sentences that the CLIP weights came with: they go before the published ones. */
  readonly nativePrompts?: PromptSet;
  /** Which GELU both towers have: `authors` the exact one, as the other methods here; `paper` QuickGELU. `authors` unless told. */
  readonly preset?: 'authors' | 'paper';
  /** Side the model runs at, px; else `nativeImageSize`. */
  readonly imageSize?: number;
  /** Side that the CLIP weights are made for, px; 240 unless told. */
  readonly nativeImageSize?: number;
  /** Images per run; 1 unless told: an image has hundreds of windows, each a pass of its own. */
  readonly batch?: number;
  /** Few-shot: normal images to compare with, as they are (`augment` is not looked at). */
  readonly bank?: BankInput;
  /** Whether pixels are normalised as CLIP was trained; true unless told. */
  readonly normalise?: boolean;
}

/**
 * WinCLIP (Jeong et al. 2023): training-free detection with windows of 2 x 2 and 3 x 3 patches and the image. A detection's
 * `score` and `map` are the method's final ones: P(abnormal) of the image, 0..1, and of each pixel, 0..1.
 */
export class WinClip implements DetectionModel {
  readonly method = 'winclip';
  /** Its few-shot results are fused already: there is no memory to fuse with. */
  readonly hasMemory = false;

  private constructor(
    readonly preset: 'authors' | 'paper',
    private readonly detector: WinClipDetector,
    readonly batch: number,
  ) {}

  get imageSize(): number {
    return this.detector.options.imageSize;
  }

  /** Encodes the sentences; weights upload with the first image. @throws OptionError, LimitError before GPU work starts. */
  static async load(clip: Clip, options: WinClipOptions = {}): Promise<WinClip> {
    const { object = DEFAULT_OBJECT, batch = 1, normalise = true } = options;
    const { activation, name } = presetNamed(options.preset ?? 'authors');
    const imageSize = options.imageSize ?? options.nativeImageSize ?? 240;
    if (!Number.isInteger(batch) || batch < 1)
      throw new OptionError(`A batch of ${batch} images is no batch.`);
    gridFor(clip.config, imageSize);
    WinClipDetector.check(clip, { activation, imageSize }, batch);
    const sentences = options.prompts ?? options.nativePrompts ?? winClipPrompts(object);
    const text = await fixedColumns(clip, sentences, activation, false);
    clip.releaseText();
    const references = referenceImages(options.bank, 'winclip', imageSize);
    const shape = { activation, imageSize, text, normalise };
    return new WinClip(name, await WinClipDetector.create(clip, shape, references), batch);
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
