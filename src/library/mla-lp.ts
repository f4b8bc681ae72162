import { readCalibration, type SavedCalibration } from '../evaluation/calibration';
import { openCheckpoint } from '../io/checkpoint';
import type { Clip } from '../model/clip';
import { gridFor } from '../model/clip-config';
import { type Detection, Detector, type Method } from '../model/detector';
import { fixedColumns } from '../model/fixed-columns';
import { weightsIdentity } from '../model/identity';
import { type Preset, presetNamed } from '../model/presets';
import {
  DEFAULT_OBJECT,
  fixedPrompts,
  learnablePromptTokens,
  type PromptSet,
  parsePrompts,
} from '../model/prompts';
import { savedColumns } from '../model/saved-columns';
import { syntheticCheckpoint } from '../model/synthetic';
import type { TensorSource } from '../model/tensor-source';
import { loadWeights } from '../model/weight-loader';
import { BufferStore } from '../runtime/buffer-store';
import { BadFileError, OptionError } from '../runtime/errors';
import { Graph } from '../runtime/graph';
import {
  type BatchModel,
  type DetectionModel,
  type DetectOutcome,
  detectInBatches,
  type StageObserver,
} from './detect-each';
import { closingOnError, openTensors, type WeightsInput } from './load-clip';
import { type BankInput, type OpenedBank, openBank } from './memory-bank';
import type { ImageInput } from './platform';

export interface MlaLpOptions {
  /** Trained adapters and prompts: ours (safetensors), MVFA's or MLA-LP's .pth. Needed by method mla-lp. */
  readonly checkpoint?: WeightsInput;
  /** `mla-lp` with a checkpoint, `clip` without, unless told. */
  readonly method?: Method;
  /** `authors` follows the released code, `paper` the equations; what the checkpoint was trained with, else `authors`. */
  readonly preset?: 'authors' | 'paper';
  /** Side the model runs at, px; what the checkpoint was trained with, else `nativeImageSize`. */
  readonly imageSize?: number;
  /** Side that the CLIP weights are made for, px; 240 unless told. */
  readonly nativeImageSize?: number;
  /** Images per run; 1 on software adapters, else 8, unless told. */
  readonly batch?: number;
  /**
   * Fixed sentences instead of MVFA's ensemble, for method clip and for checkpoints without prompts; those that the checkpoint
   * was trained with, if it says so.
   */
  readonly prompts?: PromptSet;
  /** Sentences that come with the CLIP weights, where nothing else names any. */
  readonly nativePrompts?: PromptSet;
  /** What MVFA's ensemble calls the object, e.g. "Brain"; what the checkpoint was trained with, else "medical image". */
  readonly object?: string;
  /**
   * Few-shot scoring (paper, section 3.4): normal images to compare with, or the file that `train --bank` wrote beside the
   * checkpoint. Detections come with `memory` then. Needs a checkpoint.
   */
  readonly bank?: BankInput;
  /** Bytes that the bank may take on the device, 2 GiB unless told; a larger one is uploaded again for every batch. */
  readonly bankMemory?: number;
}

/** Abnormality detection: images in, scores and pixel maps out. */
export class MlaLp implements DetectionModel {
  private constructor(
    readonly clip: Clip,
    private readonly detector: Detector,
    readonly batch: number,
    /** The threshold that was saved with the model (`mla-lp eval --calibrate`): for `judge`. */
    readonly calibration: SavedCalibration | undefined,
    /** Whether the checkpoint has learned prompts: no sentences are used then. */
    readonly hasPrompts: boolean,
  ) {}

  /** `mvfa`: adapters with fixed sentences. */
  get method(): Method | 'mvfa' {
    const { method } = this.detector.options;
    return method === 'mla-lp' && !this.hasPrompts ? 'mvfa' : method;
  }

  get imageSize(): number {
    return this.detector.options.imageSize;
  }

  get preset(): 'authors' | 'paper' {
    return this.detector.options.preset.name;
  }

  get hasMemory(): boolean {
    return this.detector.bank !== undefined;
  }

  /** What became of the memory bank, in a sentence. */
  get bankDescription(): string | undefined {
    return this.detector.bank?.describe();
  }

  /** Text columns f32 [2, embed]: unit rows, normal first. */
  get text(): Float32Array<ArrayBuffer> {
    return this.detector.options.text;
  }

  /**
   * Prepares a model: encodes the prompts, uploads adapters. The text tower's weights are freed afterwards.
   * @throws OptionError, ShapeError, BadFileError before GPU work starts where the fault can be known.
   */
  static async load(clip: Clip, options: MlaLpOptions = {}): Promise<MlaLp> {
    const { checkpoint } = options;
    const method = options.method ?? (checkpoint ? 'mla-lp' : 'clip');
    const batch = options.batch ?? (clip.gpu.caps.software ? 1 : 8);
    if (!Number.isInteger(batch) || batch < 1)
      throw new OptionError(`A batch of ${batch} images is no batch.`);
    if (method === 'mla-lp' && !checkpoint) {
      throw new OptionError(
        'Method mla-lp needs a checkpoint with trained adapters.',
        'Give --checkpoint, or use --method clip, which needs no training.',
      );
    }
    if (options.bank !== undefined && method !== 'mla-lp') {
      throw new OptionError(
        `Method ${method} has no memory bank.`,
        'A bank holds what trained adapters make of normal images: give a checkpoint too.',
      );
    }
    const trained = method === 'mla-lp' ? await openAdapters(checkpoint!, clip) : undefined;
    let opened: OpenedBank | undefined;
    let forget: (() => void) | undefined;
    try {
      const made = trained ? await trainedWith(trained.source, clip) : {};
      const imageSize = options.imageSize ?? made.imageSize ?? options.nativeImageSize ?? 240;
      gridFor(clip.config, imageSize);
      const preset = presetNamed(options.preset ?? made.preset ?? 'authors');
      const shape = { method, preset, imageSize, stages: trained?.stages ?? 0 };
      forget = Detector.prepare(clip, shape, batch);
      const owner = { ...shape, preset: preset.name, metadata: trained?.source.metadata ?? new Map() };
      const { bank, bankMemory } = options;
      if (bank !== undefined) opened = await openBank(clip, bank, owner, bankMemory);
      const text = trained?.hasPrompts
        ? await learnedColumns(clip, trained.source, preset)
        : await fixedColumns(clip, sentencesFor(options, made), preset.activation);
      clip.releaseText();
      // Scores of another size, preset or sentence are other scores.
      const said = options.prompts ?? options.object;
      const sameWords = trained?.hasPrompts || said === undefined || said === made.object;
      const asMade = imageSize === made.imageSize && preset.name === made.preset && sameWords;
      const calibration =
        trained && asMade ? readCalibration(trained.source.metadata, trained.source.label) : undefined;
      const detector = await Detector.create(clip, { ...shape, text }, trained?.source, opened?.make, batch);
      detector.warmUp(batch);
      return new MlaLp(clip, detector, batch, calibration, trained?.hasPrompts === true);
    } catch (error) {
      forget?.();
      await opened?.close();
      throw error;
    } finally {
      await trained?.source.close();
    }
  }

  /**
   * Scores and maps of images, in order. Images stay on this machine.
   * @throws the first error; use `detectEach` to go on after an unreadable image.
   */
  async detect(images: readonly ImageInput[]): Promise<Detection[]> {
    const results: Detection[] = [];
    for await (const outcome of this.detectEach(images)) {
      if ('error' in outcome) throw outcome.error;
      results.push(outcome.detection);
    }
    return results;
  }

  /**
   * Yields one outcome an image, in order, as batches finish. The next batch is decoded while the device computes.
   * @throws DeviceLostError and the like, which concern all images; AbortedError when `signal` fires.
   */
  detectEach(
    images: Iterable<ImageInput>,
    signal?: AbortSignal,
    observe?: StageObserver,
  ): AsyncGenerator<DetectOutcome> {
    const { batch, imageSize } = this;
    const run: BatchModel['run'] = (pixels, observer) => this.detector.run(pixels, batch, observer);
    return detectInBatches(images, { batch, imageSize, run }, signal, observe);
  }

  /** Frees what this model holds on the device; the CLIP stays loaded. */
  async destroy(): Promise<void> {
    await this.detector.destroy();
  }
}

/** What the caller says, then what the checkpoint was trained with, then what came with the weights. */
export function sentencesFor(
  { prompts, object, nativePrompts }: Pick<MlaLpOptions, 'prompts' | 'object' | 'nativePrompts'>,
  made: { readonly sentences?: PromptSet; readonly object?: string },
): PromptSet {
  if (prompts) return prompts;
  if (object !== undefined) return fixedPrompts(object);
  if (made.sentences) return made.sentences;
  if (made.object !== undefined) return fixedPrompts(made.object);
  return nativePrompts ?? fixedPrompts(DEFAULT_OBJECT);
}

interface Trained {
  readonly source: TensorSource;
  readonly stages: number;
  readonly hasPrompts: boolean;
}

async function openAdapters(input: WeightsInput, clip: Clip): Promise<Trained> {
  const synthetic = typeof input === 'string' && input.startsWith('synthetic:');
  const stored = synthetic ? syntheticCheckpoint(input.slice('synthetic:'.length)) : await openTensors(input);
  return closingOnError(stored, () => openCheckpoint(stored, clip.config));
}

/**
 * What a checkpoint of our own training says of itself; others say nothing.
 * @throws BadFileError when it was trained on another CLIP: its numbers would mean nothing here.
 */
export async function trainedWith(
  { label, metadata }: TensorSource,
  clip: Clip,
): Promise<{ preset?: string; imageSize?: number; object?: string; sentences?: PromptSet }> {
  const [weights, preset, imageSize] = ['weights', 'preset', 'imageSize'].map((key) => metadata.get(key));
  const [object, sentences] = ['object', 'sentences'].map((key) => metadata.get(key));
  if (weights !== undefined && weights !== (await weightsIdentity(clip.source))) {
    throw new BadFileError(
      label,
      `it was trained on another CLIP than ${clip.source.label}`,
      'Give the weights that it was trained on.',
    );
  }
  return {
    ...(preset !== undefined && { preset }),
    ...(imageSize !== undefined && { imageSize: Number(imageSize) }),
    ...(object !== undefined && { object }),
    ...(sentences !== undefined && { sentences: parsePrompts(sentences, label) }),
  };
}

/** Out of the checkpoint, where it keeps those of its prompts as this model would compute them; else the text tower computes them. */
async function learnedColumns(
  clip: Clip,
  checkpoint: TensorSource,
  { name, activation, causalPrompts: causal }: Preset,
): Promise<Float32Array<ArrayBuffer>> {
  const { metadata } = checkpoint;
  // Of these CLIP weights: `trainedWith` has seen to it.
  const same = metadata.has('weights') && metadata.get('preset') === name;
  const precise = metadata.get('precision') === 'f32' || metadata.get('precision') === clip.precision;
  const saved = same && precise ? await savedColumns(checkpoint, clip.config) : undefined;
  if (saved) return saved;
  const contexts = new BufferStore(clip.gpu);
  try {
    const wanted = new Graph();
    const [normal] = ['normal', 'abnormal'].map((kind) => {
      const name = `prompt_learner.ctx.${kind}_end`;
      return wanted.weight(name, 'f32', checkpoint.tensors.get(name)!.shape);
    });
    await loadWeights(wanted, contexts, [checkpoint]);
    const vectors = normal!.shape[1]!;
    const tokens = await learnablePromptTokens(vectors, clip.config.context);
    return await clip.promptColumns(tokens, contexts, vectors, { activation, causal });
  } finally {
    contexts.destroy();
  }
}
