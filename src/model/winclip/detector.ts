/** Runs WinCLIP over batches of prepared images. */
import type { ActivationKind } from '../../kernels/activation/activation';
import type { ValueError } from '../../runtime/errors';
import { plan } from '../../runtime/plan';
import { BatchExecutables } from '../batch-executables';
import type { Clip } from '../clip';
import type { ClipGraphOptions } from '../clip-graph';
import { packImages } from '../clip-pixels';
import { type Detection, notFinite } from '../detector';
import type { NormalImages } from '../memory-bank-features';
import { ReferenceBank } from '../reference-bank';
import { rowInputs, winClipGraph, winClipReferences } from './graph';

export interface WinClipDetectorOptions {
  readonly activation: ActivationKind;
  /** Side the model runs at, px. */
  readonly imageSize: number;
  /** f32 [2, embed], unit rows, normal first. */
  readonly text: Float32Array<ArrayBuffer>;
  /** Whether pixels are normalised as CLIP was trained. */
  readonly normalise: boolean;
}

export class WinClipDetector {
  readonly #executables: BatchExecutables;

  private constructor(
    private readonly clip: Clip,
    readonly options: WinClipDetectorOptions,
    private readonly bank: ReferenceBank | undefined,
  ) {
    this.#executables = new BatchExecutables((batch) =>
      clip.compile(winClipGraph(graphOptions(clip, options, batch), bank), bank?.store),
    );
  }

  /** @param references normal images: few-shot WinCLIP+. @throws as `ReferenceBank.create`. */
  static async create(
    clip: Clip,
    options: WinClipDetectorOptions,
    references?: Omit<NormalImages, 'augment'>,
  ): Promise<WinClipDetector> {
    const graph = winClipReferences(graphOptions(clip, options, 1), options.normalise);
    const bank = references && (await ReferenceBank.create(clip, graph, references));
    return new WinClipDetector(clip, options, bank);
  }

  /** Plans the graph, as the first run will. @throws LimitError, OptionError when the device or the image size cannot carry it. */
  static check(
    clip: Clip,
    options: Pick<WinClipDetectorOptions, 'activation' | 'imageSize'>,
    batch: number,
  ): void {
    plan(winClipGraph(graphOptions(clip, options, batch)), clip.gpu.caps);
  }

  /**
   * Detects in a batch; fewer images than `batch` are padded.
   * @param images f32 [3, S, S] in 0..1 each. @returns one result an image; a ValueError where it is not finite.
   */
  async run(images: readonly Float32Array[], batch: number): Promise<(Detection | ValueError)[]> {
    const { imageSize: size, text, normalise } = this.options;
    const executable = await this.#executables.get(batch);
    const pixels = packImages(images, batch, size, normalise);
    const out = await executable.run({
      images: pixels,
      text,
      ...rowInputs(graphOptions(this.clip, this.options, batch)),
    });
    return images.map((_, b) => {
      const score = out.score![b]!;
      const map = (out.map as Float32Array<ArrayBuffer>).slice(b * size * size, (b + 1) * size * size);
      if (!Number.isFinite(score) || !map.every(Number.isFinite)) return notFinite(this.clip.precision);
      return { score, levels: [score], map, size };
    });
  }

  async destroy(): Promise<void> {
    await this.#executables.destroy();
    this.bank?.destroy();
  }
}

function graphOptions(
  { config, precision: dtype }: Clip,
  { activation, imageSize }: Pick<WinClipDetectorOptions, 'activation' | 'imageSize'>,
  batch: number,
): ClipGraphOptions {
  return { config, activation, dtype, batch, imageSize };
}
