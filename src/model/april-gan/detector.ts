/** Runs APRIL-GAN over batches of prepared images. */
import type { ActivationKind } from '../../kernels/activation/activation';
import { BufferStore, lookupIn } from '../../runtime/buffer-store';
import type { ValueError } from '../../runtime/errors';
import { plan } from '../../runtime/plan';
import { BatchExecutables } from '../batch-executables';
import type { Clip } from '../clip';
import { gridFor } from '../clip-config';
import { packImages } from '../clip-pixels';
import { type Detection, notFinite } from '../detector';
import { ABNORMAL } from '../heads';
import type { NormalImages } from '../memory-bank-features';
import { ReferenceBank } from '../reference-bank';
import type { TensorSource } from '../tensor-source';
import { loadWeights } from '../weight-loader';
import { type AprilGanGraphOptions, aprilGanGraph, aprilGanReferences } from './graph';

export interface AprilGanDetectorOptions {
  readonly activation: ActivationKind;
  /** Side the model runs at, px. */
  readonly imageSize: number;
  /** f32 [2, embed], unit rows, normal first. */
  readonly text: Float32Array<ArrayBuffer>;
  /** Linear layers of the checkpoint. */
  readonly stages: number;
  /** Whether pixels are normalised as CLIP was trained. */
  readonly normalise: boolean;
}

type Shape = Pick<AprilGanDetectorOptions, 'activation' | 'imageSize' | 'stages'>;

export class AprilGanDetector {
  readonly #executables: BatchExecutables;

  private constructor(
    private readonly clip: Clip,
    readonly options: AprilGanDetectorOptions,
    private readonly layers: BufferStore,
    private readonly bank: ReferenceBank | undefined,
  ) {
    this.#executables = new BatchExecutables((batch) =>
      clip.compile(
        aprilGanGraph(graphOptions(clip, options, batch), bank),
        bank ? lookupIn(layers, bank.store) : layers,
      ),
    );
  }

  /** Plans the graph, as the first run will. @throws LimitError, ShapeError when the device or the layers cannot carry it. */
  static check(clip: Clip, shape: Shape, batch: number): void {
    plan(aprilGanGraph(graphOptions(clip, shape, batch)), clip.gpu.caps);
  }

  /**
   * @param checkpoint holds the linear layers under their names (`linearName`). @param references normal images, for few-shot.
   * @throws as `ReferenceBank.create`.
   */
  static async create(
    clip: Clip,
    options: AprilGanDetectorOptions,
    checkpoint: TensorSource,
    references?: Omit<NormalImages, 'augment'>,
  ): Promise<AprilGanDetector> {
    const layers = new BufferStore(clip.gpu);
    try {
      const { weights } = aprilGanGraph(graphOptions(clip, options, 1));
      const own = new Map([...weights].filter(([name]) => checkpoint.tensors.has(name)));
      await loadWeights({ weights: own }, layers, [checkpoint]);
      const graph = aprilGanReferences(graphOptions(clip, options, 1), options.normalise);
      const bank = references && (await ReferenceBank.create(clip, graph, references));
      return new AprilGanDetector(clip, options, layers, bank);
    } catch (error) {
      layers.destroy();
      throw error;
    }
  }

  /**
   * Detects in a batch; fewer images than `batch` are padded.
   * @param images f32 [3, S, S] in 0..1 each. @returns one result an image; a ValueError where it is not finite.
   */
  async run(images: readonly Float32Array[], batch: number): Promise<(Detection | ValueError)[]> {
    const { imageSize: size, text, stages, normalise } = this.options;
    const executable = await this.#executables.get(batch);
    const tokens = 1 + gridFor(this.clip.config, size) ** 2;
    const out = await executable.run({
      images: packImages(images, batch, size, normalise),
      text,
      classes: Uint32Array.from({ length: batch }, (_, b) => b * tokens),
    });
    return images.map((_, b) => {
      const score = out.score![b]!;
      const levels = Array.from({ length: stages }, (_, s) => out[`level.${s}`]![2 * b + ABNORMAL]!);
      const map = (out.map as Float32Array<ArrayBuffer>).slice(b * size * size, (b + 1) * size * size);
      if (!Number.isFinite(score) || !map.every(Number.isFinite)) return notFinite(this.clip.precision);
      return { score, levels, map, size };
    });
  }

  /** Frees layers, arenas and inputs; the CLIP stays loaded. */
  async destroy(): Promise<void> {
    await this.#executables.destroy();
    this.layers.destroy();
    this.bank?.destroy();
  }
}

function graphOptions(clip: Clip, shape: Shape, batch: number): AprilGanGraphOptions {
  const { config, precision: dtype } = clip;
  const { activation, imageSize, stages } = shape;
  return { config, activation, dtype, batch, imageSize, stages };
}
