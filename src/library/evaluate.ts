import type { DecodeOptions } from '../data/limits';
import { loadMask } from '../data/load-sample';
import { type FinishOptions, finishEvaluation } from '../evaluation/finish';
import { MemoryResults } from '../evaluation/memory-results';
import { type RawHeader, type RawOutcome, rangeOf } from '../evaluation/raw-results';
import type { EvaluationRecord, Protocol, Selection } from '../evaluation/record';
import type { ResultSink } from '../evaluation/result-sink';
import { sha256 } from '../model/identity';
import { AbortedError, MlaLpError, OptionError } from '../runtime/errors';
import type { DetectionModel, DetectOutcome } from './detect-each';
import { readInput } from './image-input';
import type { ImageInput } from './platform';
import type { TrainingImage } from './train';

/** A labelled image and what results call it: a path relative to its data set, say. */
export interface EvaluationImage extends Omit<TrainingImage, 'group'> {
  readonly name: string;
}

export interface ScoreOptions {
  /** Places in `images` that are scored; all unless told. What the sink has already is left out. */
  readonly indices?: readonly number[];
  /** Lists images that cannot be read or scored instead of stopping at the first. */
  readonly keepGoing?: boolean;
  readonly signal?: AbortSignal;
  /** Called after each image, in order. @param done images that the sink has, of those asked for. */
  readonly onProgress?: (done: number, total: number, outcome: RawOutcome | undefined) => void;
}

/**
 * Scores labelled images one by one into a sink, which may be a file that an earlier run left.
 * @param model with a memory bank, where the sink's protocol is few-shot.
 * @throws the first image's error without `keepGoing`; AbortedError. What the sink took stays there.
 */
export async function scoreImages(
  model: DetectionModel,
  images: readonly EvaluationImage[],
  sink: ResultSink & { readonly header: RawHeader },
  options: ScoreOptions = {},
): Promise<void> {
  const { indices = images.map((_, i) => i), keepGoing = false, signal, onProgress } = options;
  const wanted = indices.filter((index) => !sink.has(index));
  let done = indices.length - wanted.length;
  onProgress?.(done, indices.length, undefined);
  const inputs = wanted.map((index) => images[index]!.image);
  for await (const outcome of model.detectEach(inputs, signal)) {
    if (signal?.aborted) throw new AbortedError();
    const index = wanted[outcome.index]!;
    const taken = await take(outcome, index, images[index]!, sink, keepGoing);
    onProgress?.(++done, indices.length, taken);
  }
}

async function take(
  outcome: DetectOutcome,
  index: number,
  image: EvaluationImage,
  sink: ResultSink & { readonly header: RawHeader },
  keepGoing: boolean,
): Promise<RawOutcome> {
  const { name, abnormal } = image;
  try {
    if ('error' in outcome) throw outcome.error;
    const { score, map, size, memory } = outcome.detection;
    const { header } = sink;
    const fewShot = header.fused ? memory : undefined;
    if (header.fused && !fewShot)
      throw new OptionError('The few-shot protocol needs a model with a memory bank.', 'Give it a bank.');
    const mask = header.hasMasks ? await maskOf(image, outcome, index) : undefined;
    const result = {
      index,
      name,
      abnormal,
      hasMask: mask !== undefined,
      zeroShot: score,
      zeroShotRange: rangeOf(map),
      ...(fewShot && { fewShot: fewShot.detMean, fewShotRange: rangeOf(fewShot.map) }),
    };
    if (size !== header.size) throw new OptionError(`The map of ${name} has ${size} px, not ${header.size}.`);
    const few = fewShot && { fewShot: fewShot.map as Float32Array<ArrayBuffer> };
    await sink.append(result, { zeroShot: map, ...few, ...(mask && { mask }) });
    return result;
  } catch (error) {
    if (!keepGoing || !(error instanceof MlaLpError) || !CONCERNS_ONE_IMAGE.has(error.code)) throw error;
    const failure = { index, name, error: error.message };
    await sink.append(failure);
    return failure;
  }
}

/** Other errors (a lost device, a full disk) concern all images. */
const CONCERNS_ONE_IMAGE: ReadonlySet<string> = new Set(['bad-image', 'bad-value']);

async function maskOf(
  { abnormal, mask }: EvaluationImage,
  outcome: Extract<DetectOutcome, { detection: unknown }>,
  index: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const { size } = outcome.detection;
  if (!abnormal) return new Uint8Array(size * size);
  if (mask === undefined) return undefined;
  const read = (input: ImageInput, options?: DecodeOptions) => readInput(input, index, options);
  return loadMask(mask, outcome.image, size, read);
}

export interface HeaderOptions {
  readonly dataset: string;
  readonly protocol: Protocol;
  readonly selection?: Selection;
  readonly configuration?: Readonly<Record<string, string | number | boolean>>;
}

/** Few-shot, these are scored by a memory bank; others bring references of their own. */
const MEMORY_METHODS: ReadonlySet<string> = new Set(['mla-lp', 'mvfa', 'clip']);

/** What identifies an evaluation of a model on labelled images. @throws OptionError where the model cannot do the protocol. */
export async function rawHeader(
  model: DetectionModel,
  images: readonly EvaluationImage[],
  { dataset, protocol, selection = 'last-epoch', configuration = {} }: HeaderOptions,
): Promise<RawHeader> {
  const { method, preset, imageSize, hasMemory } = model;
  if (protocol === 'few-shot' && !hasMemory && MEMORY_METHODS.has(method))
    throw new OptionError('The few-shot protocol needs a model with a memory bank.', 'Give it a bank.');
  const list = images.map(({ name, abnormal, mask }) => [name, abnormal, mask !== undefined]);
  return {
    dataset,
    protocol,
    method,
    preset,
    selection,
    fused: protocol === 'few-shot' && hasMemory,
    size: imageSize,
    hasMasks: images.some(({ abnormal, mask }) => abnormal && mask !== undefined),
    n: images.length,
    images: await sha256(JSON.stringify(list)),
    configuration,
  };
}

export interface EvaluateOptions
  extends Partial<HeaderOptions>,
    Omit<ScoreOptions, 'indices'>,
    FinishOptions {}

/**
 * Evaluates a model on labelled images, all in memory (8 bytes a pixel of the model's size and image): metrics with
 * intervals, as the command `eval` gives them. Images stay on this machine.
 * @param options.protocol `few-shot` where the model has a memory bank, else `zero-shot`, unless told.
 */
export async function evaluate(
  model: DetectionModel,
  images: readonly EvaluationImage[],
  options: EvaluateOptions = {},
): Promise<EvaluationRecord> {
  const { dataset = 'images', protocol = model.hasMemory ? 'few-shot' : 'zero-shot' } = options;
  const header = await rawHeader(model, images, { ...options, dataset, protocol });
  const results = new MemoryResults(header);
  await scoreImages(model, images, results, options);
  return finishEvaluation(results, options);
}
