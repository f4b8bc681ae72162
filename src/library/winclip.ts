import type { Clip } from '../model/clip';
import { gridFor } from '../model/clip-config';
import { fixedColumns } from '../model/fixed-columns';
import { presetNamed } from '../model/presets';
import { DEFAULT_OBJECT } from '../model/prompts';
import { WinClipDetector } from '../model/winclip/detector';
import { winClipPrompts } from '../model/winclip/prompts';
import { ComparisonModel, type ComparisonOptions, checkBatch } from './comparison-model';
import { referenceImages } from './memory-bank';

export type WinClipOptions = ComparisonOptions;

/**
 * WinCLIP (Jeong et al. 2023): training-free detection with windows of 2 x 2 and 3 x 3 patches and the image, few-shot with normal
 * images to compare with. A detection's `score` and `map` are the method's final ones, 0..1; `levels` repeats the score.
 */
export class WinClip extends ComparisonModel {
  readonly method = 'winclip';

  /** Encodes the sentences and the images to compare with. @throws OptionError, LimitError before GPU work starts. */
  static async load(clip: Clip, options: WinClipOptions = {}): Promise<WinClip> {
    const { object, prompts, nativePrompts, normalise = true } = options;
    // An image has hundreds of windows, each a pass of its own.
    const batch = checkBatch(options.batch ?? 1);
    const { activation, name } = presetNamed(options.preset ?? 'authors');
    const imageSize = options.imageSize ?? options.nativeImageSize ?? 240;
    gridFor(clip.config, imageSize);
    WinClipDetector.check(clip, { activation, imageSize }, batch);
    const references = referenceImages(options.bank, 'winclip', imageSize);
    const own = object === undefined ? nativePrompts : undefined;
    const sentences = prompts ?? own ?? winClipPrompts(object ?? DEFAULT_OBJECT);
    const text = await fixedColumns(clip, sentences, activation, false);
    clip.releaseText();
    const shape = { activation, imageSize, text, normalise };
    return new WinClip(name, await WinClipDetector.create(clip, shape, references), batch);
  }
}
