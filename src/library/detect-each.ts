/** A stream of images through a model, batch by batch: what every detection method shares. */
import type { RgbImage } from '../data/image';
import { toModelInput } from '../data/resize';
import type { Detection } from '../model/detector';
import { AbortedError, MlaLpError, type ValueError } from '../runtime/errors';
import { isRgbImage, nameOf } from './image-input';
import { type ImageInput, platform } from './platform';

/** One image's outcome in a stream: a detection, or why there is none. */
export type DetectOutcome =
  | { readonly index: number; readonly image: RgbImage; readonly detection: Detection }
  | { readonly index: number; readonly error: MlaLpError };

/** Any method that detects abnormalities: what evaluations take. */
export interface DetectionModel {
  /** "mla-lp", "clip", ... */
  readonly method: string;
  /** Choice between paper and code, or the method's own variant. */
  readonly preset: string;
  /** Side the model runs at, px; that of its maps. */
  readonly imageSize: number;
  /** Whether detections come with `memory`. */
  readonly hasMemory: boolean;
  detectEach(images: Iterable<ImageInput>, signal?: AbortSignal): AsyncGenerator<DetectOutcome>;
  destroy(): Promise<void>;
}

export interface BatchModel {
  /** Images a run. */
  readonly batch: number;
  /** Side the model runs at, px. */
  readonly imageSize: number;
  /** @param pixels f32 [3, S, S] in 0..1 each, at most `batch`. @returns one result an image. */
  run(pixels: readonly Float32Array[]): Promise<readonly (Detection | ValueError)[]>;
}

/**
 * Yields one outcome an image, in order, as batches finish. The next batch is decoded while the device computes.
 * @throws DeviceLostError and the like, which concern all images; AbortedError when `signal` fires.
 */
export async function* detectInBatches(
  images: Iterable<ImageInput>,
  model: BatchModel,
  signal?: AbortSignal,
): AsyncGenerator<DetectOutcome> {
  let pending: Promise<DetectOutcome[]> | undefined;
  for (const chunk of chunked(images, model.batch)) {
    if (signal?.aborted) throw new AbortedError();
    const decoded = await Promise.all(chunk.map(({ input, index }) => decode(input, index, model.imageSize)));
    if (pending) yield* await pending;
    pending = runBatch(decoded, model);
    // An error is reported when the batch is awaited.
    pending.catch(() => {});
  }
  if (signal?.aborted) throw new AbortedError();
  if (pending) yield* await pending;
}

type Decoded =
  | { readonly index: number; readonly image: RgbImage; readonly pixels: Float32Array }
  | { readonly index: number; readonly error: MlaLpError };

async function decode(input: ImageInput, index: number, size: number): Promise<Decoded> {
  try {
    const image = isRgbImage(input) ? input : await platform().readImage(input, nameOf(input, index));
    return { index, image, pixels: toModelInput(image, size) };
  } catch (error) {
    if (error instanceof MlaLpError) return { index, error };
    throw error;
  }
}

async function runBatch(decoded: readonly Decoded[], model: BatchModel): Promise<DetectOutcome[]> {
  const good = decoded.filter((d) => 'pixels' in d);
  const found = good.length > 0 ? await model.run(good.map((d) => d.pixels)) : [];
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
