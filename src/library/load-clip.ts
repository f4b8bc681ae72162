import { blobBytes } from '../io/bytes';
import { asClipWeights } from '../io/clip-names';
import { openWeights } from '../io/open-weights';
import { checkMatrixUnits } from '../kernels/matrix-check';
import { Clip } from '../model/clip';
import { readClipConfig } from '../model/clip-config';
import { syntheticClip } from '../model/synthetic';
import type { TensorSource } from '../model/tensor-source';
import type { LoadProgress } from '../model/weight-loader';
import type { Gpu, Precision } from '../runtime/device';
import { platform } from './platform';

/** A path or URL, a Blob (a file that a user chose), `synthetic:<model>`, or an opened source. */
export type WeightsInput = string | Blob | TensorSource;

export interface LoadClipOptions {
  /** Storage of matrices and activations; sums are always f32. `f32` unless told. */
  readonly precision?: Precision;
  /** Attention heads of the image and text tower, where width / 64 is wrong (ViT-H: 16 of 80). */
  readonly heads?: number;
  readonly textHeads?: number;
  /** Called while weights upload to the device. */
  readonly onProgress?: (progress: LoadProgress) => void;
}

/** Opens a weights or checkpoint file whatever its format. @throws BadFileError */
export async function openTensors(input: WeightsInput): Promise<TensorSource> {
  if (typeof input !== 'string') {
    if (!(input instanceof Blob)) return input;
    return openWeights(blobBytes(input, input instanceof File ? input.name : 'weights'));
  }
  const directory = input.slice(0, Math.max(input.lastIndexOf('/'), input.lastIndexOf('\\')) + 1);
  return openWeights(await platform().openFile(input), (name) => platform().openFile(directory + name));
}

/**
 * Loads a CLIP: OpenAI, open_clip and Hugging Face names; safetensors (single, sharded), OpenAI's TorchScript and torch.save.
 * Only shapes are read here: weights stream to the device, tensor by tensor, when a model first needs them.
 * @throws BadFileError, UnsupportedFeatureError (f16 on a device without it).
 */
export async function loadClip(
  gpu: Gpu,
  weights: WeightsInput,
  options: LoadClipOptions = {},
): Promise<Clip> {
  const { precision = 'f32', onProgress, heads, textHeads } = options;
  gpu.requirePrecision(precision);
  // What f32 chooses has no use for them, but a tuned table may.
  if (precision === 'f16' || gpu.tuning) await checkMatrixUnits(gpu);
  const synthetic = typeof weights === 'string' && weights.startsWith('synthetic:');
  const stored = synthetic ? syntheticClip(weights.slice('synthetic:'.length)) : await openTensors(weights);
  return closingOnError(stored, () => {
    const source = asClipWeights(stored);
    const config = readClipConfig(source, { ...(heads && { heads }), ...(textHeads && { textHeads }) });
    return new Clip(gpu, source, config, precision, onProgress);
  });
}

/** What `read` makes of an opened file; the file is closed when it is refused. */
export async function closingOnError<T>(source: TensorSource, read: () => T): Promise<T> {
  try {
    return read();
  } catch (error) {
    await source.close();
    throw error;
  }
}
