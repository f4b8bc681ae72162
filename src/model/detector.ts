/** Runs a compiled model over batches of prepared images. Knows pixels as numbers only. */
import { BufferStore } from '../runtime/buffer-store';
import type { Precision } from '../runtime/device';
import { ValueError } from '../runtime/errors';
import type { RunObserver } from '../runtime/executable';
import type { Graph } from '../runtime/graph';
import { plan } from '../runtime/plan';
import { BatchExecutables } from './batch-executables';
import type { Clip } from './clip';
import { clipBaselineGraph } from './clip-graph';
import { packImages } from './clip-pixels';
import { ABNORMAL } from './heads';
import { mlaLpGraph } from './mla-lp-graph';
import type { Preset } from './presets';
import type { TensorSource } from './tensor-source';
import { loadWeights } from './weight-loader';

/** `mla-lp`: adapters at every stage. `clip`: the training-free baseline on the last block. */
export type Method = 'mla-lp' | 'clip';

export interface DetectorOptions {
  readonly method: Method;
  readonly preset: Preset;
  /** Side the model runs at, px. */
  readonly imageSize: number;
  /** f32 [2, embed], unit rows, normal first. */
  readonly text: Float32Array<ArrayBuffer>;
  /** Number of adapter stages; 0 for the baseline. */
  readonly stages: number;
}

/** What the model says of one image. */
export interface Detection {
  /** Higher is more abnormal: the sum of `levels`, or what the method's own documentation says. Comparable within one model only. */
  readonly score: number;
  /** Per stage the mean over patches of P(abnormal), 0..1. */
  readonly levels: readonly number[];
  /** f32 [size, size], row-major: per pixel the sum over stages of P(abnormal), 0..number of stages. */
  readonly map: Float32Array<ArrayBuffer>;
  /** Side of `map`, px. */
  readonly size: number;
  /** Distances to a memory bank (paper, section 3.4); present when the model has one. */
  readonly memory?: MemoryDistances;
}

/** How far an image's patches are from the nearest ones of normal images, 1 - cosine, summed over stages. */
export interface MemoryDistances {
  /** f32 [size, size], row-major: segmentation head. */
  readonly map: Float32Array<ArrayBuffer>;
  /** Mean over pixels of the detection head's map. */
  readonly detMean: number;
}

export class Detector {
  readonly #executables: BatchExecutables;

  private constructor(
    private readonly clip: Clip,
    readonly options: DetectorOptions,
    private readonly adapters: BufferStore | undefined,
  ) {
    this.#executables = new BatchExecutables((batch) =>
      clip.compile(detectorGraph(clip, options, batch), adapters),
    );
  }

  /**
   * Plans the graph, as `create` and the first run will, before anything is computed.
   * @throws LimitError, ShapeError when the device or the checkpoint cannot carry it.
   */
  static check(clip: Clip, options: Omit<DetectorOptions, 'text'>, batch: number): void {
    plan(detectorGraph(clip, options, batch), clip.gpu.caps);
  }

  /** @param checkpoint adapters and prompts under our names; needed by method mla-lp. */
  static async create(clip: Clip, options: DetectorOptions, checkpoint?: TensorSource): Promise<Detector> {
    if (options.method === 'clip' || !checkpoint) return new Detector(clip, options, undefined);
    const adapters = new BufferStore(clip.gpu);
    const detector = new Detector(clip, options, adapters);
    try {
      const { weights } = detectorGraph(clip, options, 1);
      const own = new Map([...weights].filter(([name]) => checkpoint.tensors.has(name)));
      await loadWeights({ weights: own }, adapters, [checkpoint]);
      return detector;
    } catch (error) {
      adapters.destroy();
      throw error;
    }
  }

  /**
   * Detects in a batch. The last images of a list may be fewer than `batch`: the rest is padded and dropped.
   * @param images f32 [n, 3, S, S] in 0..1, n <= batch.
   * @returns one result an image; a ValueError where it is not finite, which is never reported as a score.
   */
  async run(
    images: readonly Float32Array[],
    batch: number,
    observe?: RunObserver,
  ): Promise<(Detection | ValueError)[]> {
    const { imageSize: size, text, stages, method } = this.options;
    const executable = await this.#executables.get(batch);
    const pixels = packImages(images, batch, size, false);
    const out = await executable.run({ images: pixels, text }, observe && { observe });
    const count = method === 'clip' ? 1 : stages;
    return images.map((_, b) => {
      const levels = Array.from({ length: count }, (_, s) => out[`level.${s}`]![2 * b + ABNORMAL]!);
      const map = (out.map as Float32Array<ArrayBuffer>).slice(b * size * size, (b + 1) * size * size);
      const score = levels.reduce((sum, level) => sum + level, 0);
      if (!Number.isFinite(score) || !map.every(Number.isFinite)) return notFinite(this.clip.precision);
      return { score, levels, map, size };
    });
  }

  /** Frees adapters, arenas and inputs; the CLIP stays loaded. */
  async destroy(): Promise<void> {
    await this.#executables.destroy();
    this.adapters?.destroy();
  }
}

/** What stands in for a result that is not a number. */
export function notFinite(precision: Precision): ValueError {
  return new ValueError(
    'The result is not a number, so it means nothing.',
    precision === 'f16' ? 'Values overflowed f16: use --precision f32.' : 'Check the weights.',
  );
}

function detectorGraph(clip: Clip, options: Omit<DetectorOptions, 'text'>, batch: number): Graph {
  const { preset, imageSize, stages } = options;
  const tower = {
    config: clip.config,
    activation: preset.activation,
    dtype: clip.precision,
    batch,
    imageSize,
  };
  return options.method === 'clip' ? clipBaselineGraph(tower) : mlaLpGraph({ ...tower, preset, stages });
}
