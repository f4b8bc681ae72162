/** A stream of images through a model, batch by batch: what every detection method shares. */
import type { RgbImage } from '../data/image';
import { toModelInput } from '../data/resize';
import type { SavedCalibration } from '../evaluation/calibration';
import type { Detection } from '../model/detector';
import { AbortedError, MlaLpError, type ValueError } from '../runtime/errors';
import type { RunObserver } from '../runtime/executable';
import { readInput } from './image-input';
import type { ImageInput } from './platform';

/** One image's outcome in a stream: a detection, or why there is none. */
export type DetectOutcome =
  | { readonly index: number; readonly image: RgbImage; readonly detection: Detection }
  | { readonly index: number; readonly error: MlaLpError };

/** Any method that detects abnormalities: what evaluations take. */
export interface DetectionModel {
  /** "mla-lp", "mvfa", "clip", ... */
  readonly method: string;
  /** Choice between paper and code, or the method's own variant. */
  readonly preset: string;
  /** Side the model runs at, px; that of its maps. */
  readonly imageSize: number;
  /** Whether detections come with `memory`. */
  readonly hasMemory: boolean;
  /** The threshold that was saved with the model, where its scores are those that it was chosen on: for `judge`. */
  readonly calibration?: SavedCalibration | undefined;
  detectEach(images: Iterable<ImageInput>, signal?: AbortSignal): AsyncGenerator<DetectOutcome>;
  destroy(): Promise<void>;
}

export interface BatchModel {
  /** Images a run. */
  readonly batch: number;
  /** Side the model runs at, px. */
  readonly imageSize: number;
  /** @param pixels f32 [3, S, S] in 0..1 each, at most `batch`. @returns one result an image. */
  run(pixels: readonly Float32Array[], observe?: RunObserver): Promise<readonly (Detection | ValueError)[]>;
}

/** Told when a stage of the stream has worked on a batch: times as `performance.now()` gives them, ms. */
export type StageObserver = (stage: 'decode' | 'upload' | 'device', from: number, to: number) => void;

/** Batches under way beside the one whose results are being taken: one on the device, one that is decoded. */
const AHEAD = 2;

/**
 * Yields one outcome an image, in order, as batches finish. While the caller takes results, the device computes the next batch
 * and the one after is decoded.
 * @throws DeviceLostError and the like, which concern all images; AbortedError when `signal` fires.
 */
export async function* detectInBatches(
  images: Iterable<ImageInput>,
  model: BatchModel,
  signal?: AbortSignal,
  observe: StageObserver = () => {},
): AsyncGenerator<DetectOutcome> {
  const check = () => {
    if (signal?.aborted) throw new AbortedError();
  };
  const batches: Promise<DetectOutcome[]>[] = [];
  /** The batch before is decoded: images of one batch at a time are, so that memory stays bounded. */
  let decoding: Promise<unknown> = Promise.resolve();
  const start = (chunk: readonly { input: ImageInput; index: number }[]) => {
    const decoded = decoding.then(async () => {
      check();
      const from = performance.now();
      const images = await Promise.all(
        chunk.map(({ input, index }) => decode(input, index, model.imageSize)),
      );
      observe('decode', from, performance.now());
      return images;
    });
    decoding = decoded.catch(() => {});
    const results = decoded.then((images) => {
      check();
      return runBatch(images, model, observe);
    });
    // An error is reported when the batch is awaited.
    results.catch(() => {});
    batches.push(results);
  };
  try {
    for (const chunk of chunked(images, model.batch)) {
      if (signal?.aborted) break;
      start(chunk);
      if (batches.length > AHEAD) yield* await batches.shift()!;
    }
    // Of an interrupted stream, what the device has finished is still given.
    while (batches.length > 0) yield* await batches.shift()!;
    check();
  } finally {
    // A caller that stops early may free the model next.
    await Promise.allSettled(batches);
  }
}

type Decoded =
  | { readonly index: number; readonly image: RgbImage; readonly pixels: Float32Array }
  | { readonly index: number; readonly error: MlaLpError };

async function decode(input: ImageInput, index: number, size: number): Promise<Decoded> {
  try {
    const image = await readInput(input, index);
    return { index, image, pixels: toModelInput(image, size) };
  } catch (error) {
    if (error instanceof MlaLpError) return { index, error };
    throw error;
  }
}

async function runBatch(
  decoded: readonly Decoded[],
  model: BatchModel,
  observe: StageObserver,
): Promise<DetectOutcome[]> {
  const good = decoded.filter((d) => 'pixels' in d);
  const found =
    good.length > 0
      ? await model.run(
          good.map((d) => d.pixels),
          observe,
        )
      : [];
  const results = new Map(good.map((d, i) => [d.index, found[i]!]));
  return decoded.map((d): DetectOutcome => {
    if (!('pixels' in d)) return { index: d.index, error: d.error };
    const result = results.get(d.index)!;
    return result instanceof MlaLpError
      ? { index: d.index, error: result }
      : { index: d.index, image: d.image, detection: result };
  });
}

function* chunked(
  images: Iterable<ImageInput>,
  size: number,
): Generator<{ input: ImageInput; index: number }[]> {
  let chunk: { input: ImageInput; index: number }[] = [];
  let index = 0;
  for (const input of images) {
    chunk.push({ input, index: index++ });
    if (chunk.length === size) {
      yield chunk;
      chunk = [];
    }
  }
  if (chunk.length > 0) yield chunk;
}
