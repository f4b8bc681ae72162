/** Runs a compiled model over batches of prepared images. Knows pixels as numbers only. */
import { BufferStore, lookupIn } from '../runtime/buffer-store';
import type { Precision } from '../runtime/device';
import { ValueError } from '../runtime/errors';
import type { RunObserver } from '../runtime/executable';
import type { Graph } from '../runtime/graph';
import { BatchExecutables } from './batch-executables';
import type { Clip } from './clip';
import { clipBaselineGraph } from './clip-graph';
import { packImages } from './clip-pixels';
import { ABNORMAL } from './heads';
import type { MemoryBank } from './memory-bank';
import type { BankGraphOptions } from './memory-bank-graph';
import { BankSearch } from './memory-bank-search';
import { mlaLpGraph } from './mla-lp-graph';
import type { Preset } from './presets';
import type { TensorSource } from './tensor-source';
import { loadWeights } from './weight-loader';
import { madeOf } from './weight-names';

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

/** Makes the bank that a detector compares with. @param adapters holds its adapters. */
export type MakeBank = (adapters: BufferStore, options: BankGraphOptions) => Promise<MemoryBank>;

export class Detector {
  readonly #executables: BatchExecutables;
  /** For a bank that does not stay on the device. */
  readonly #search: BankSearch | undefined;

  private constructor(
    private readonly clip: Clip,
    readonly options: DetectorOptions,
    private readonly adapters: BufferStore | undefined,
    readonly bank: MemoryBank | undefined,
  ) {
    const own = adapters && bank?.resident ? lookupIn(adapters, bank.store) : adapters;
    this.#executables = new BatchExecutables((batch) =>
      clip.compile(detectorGraph(clip, options, batch, bank), own),
    );
    if (bank && !bank.resident)
      this.#search = new BankSearch(clip, bank, (batch) => towerOf(clip, options, batch));
  }

  /**
   * Plans the graph, as the first run will, before anything is computed; it is compiled while text is encoded.
   * @throws LimitError, ShapeError when the device or the checkpoint cannot carry it.
   */
  static prepare(clip: Clip, options: Omit<DetectorOptions, 'text'>, batch: number): () => void {
    return clip.prepare(detectorGraph(clip, options, batch));
  }

  /**
   * @param checkpoint adapters and prompts under our names; needed by method mla-lp. @param makeBank called once the adapters
   * are there, with options for `batch` images; the bank goes with the detector.
   */
  static async create(
    clip: Clip,
    options: DetectorOptions,
    checkpoint?: TensorSource,
    makeBank?: MakeBank,
    batch = 1,
  ): Promise<Detector> {
    if (options.method === 'clip' || !checkpoint) return new Detector(clip, options, undefined, undefined);
    const adapters = new BufferStore(clip.gpu);
    try {
      const { weights } = detectorGraph(clip, options, 1);
      const own = new Map([...weights].filter(([name]) => madeOf(name, checkpoint.tensors)));
      await loadWeights({ weights: own }, adapters, [checkpoint]);
      return new Detector(clip, options, adapters, await makeBank?.(adapters, towerOf(clip, options, batch)));
    } catch (error) {
      adapters.destroy();
      throw error;
    }
  }

  /** Loads and compiles what a batch needs, while the caller reads images. Errors are told by `run`. */
  warmUp(batch: number): void {
    this.#executables.get(batch).catch(() => {});
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
    const inputs = { images: packImages(images, batch, size, false), text };
    const options = observe && { observe };
    const out = await (this.#search?.run(executable, inputs, batch, options) ??
      executable.run(inputs, options));
    const count = method === 'clip' ? 1 : stages;
    return images.map((_, b) => {
      const levels = Array.from({ length: count }, (_, s) => out[`level.${s}`]![2 * b + ABNORMAL]!);
      const map = (out.map as Float32Array<ArrayBuffer>).slice(b * size * size, (b + 1) * size * size);
      const score = levels.reduce((sum, level) => sum + level, 0);
      if (!Number.isFinite(score) || !map.every(Number.isFinite)) return notFinite(this.clip.precision);
      if (!this.bank) return { score, levels, map, size };
      const distances = out['memory.map'] as Float32Array<ArrayBuffer>;
      const memory: MemoryDistances = {
        map: distances.slice(b * size * size, (b + 1) * size * size),
        detMean: out['memory.det']![b]!,
      };
      if (!Number.isFinite(memory.detMean) || !memory.map.every(Number.isFinite))
        return notFinite(this.clip.precision);
      return { score, levels, map, size, memory };
    });
  }

  /** Frees adapters, bank, arenas and inputs; the CLIP stays loaded. */
  async destroy(): Promise<void> {
    await this.#executables.destroy();
    await this.#search?.destroy();
    await this.bank?.destroy();
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

function towerOf(clip: Clip, options: Omit<DetectorOptions, 'text'>, batch: number): BankGraphOptions {
  const { preset, imageSize, stages } = options;
  return {
    config: clip.config,
    activation: preset.activation,
    dtype: clip.precision,
    batch,
    imageSize,
    stages,
  };
}

function detectorGraph(
  clip: Clip,
  options: Omit<DetectorOptions, 'text'>,
  batch: number,
  bank?: MemoryBank,
): Graph {
  const tower = towerOf(clip, options, batch);
  if (options.method === 'clip') return clipBaselineGraph(tower);
  const fewShot = bank && (bank.resident ? { bank: bank.layout } : { features: true });
  return mlaLpGraph({ ...tower, preset: options.preset, ...fewShot });
}
