/** Rows of a memory bank, computed from normal images with the model's own adapters. */
import { augmentations } from '../kernels/warp/augmentations';
import type { BufferStore } from '../runtime/buffer-store';
import { AbortedError, OptionError } from '../runtime/errors';
import type { Clip } from './clip';
import { tokensOf } from './clip-config';
import { packImages } from './clip-pixels';
import { type BankGraphOptions, bankFeaturesGraph } from './memory-bank-graph';
import { type BankChunk, type BankSource, toUnitRows } from './memory-bank-source';
import { bankTensors } from './memory-bank-tensors';

export interface NormalImages {
  readonly count: number;
  /** Pixels f32 [3, S, S] in 0..1 of an image. */
  readonly load: (index: number) => Promise<Float32Array>;
  /** All eleven versions, as training sees them, or the images as they are. */
  readonly augment: boolean;
  /** Called with the number of image versions that are done, and of all. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Computes the rows when they are asked for.
 * @param adapters holds the adapters' first and second matrices.
 * @throws OptionError without images; from `chunks` what `load` throws, ValueError, AbortedError.
 */
export function computedRows(
  clip: Clip,
  adapters: BufferStore,
  options: BankGraphOptions,
  images: NormalImages,
): BankSource {
  if (images.count < 1)
    throw new OptionError(
      'A memory bank needs normal images.',
      'Give at least one image that shows nothing abnormal.',
    );
  const versions = images.augment ? augmentations() : augmentations().slice(0, 1);
  const total = images.count * versions.length;
  const tokens = tokensOf(options);
  const tensors = bankTensors(options.stages, total * tokens, options.config.embed);
  const { batch, imageSize } = options;

  /** Loads each image once: its versions follow each other. */
  const pixelsOf = () => {
    let last: { index: number; pixels: Float32Array } | undefined;
    return async (index: number) => {
      if (last?.index !== index) last = { index, pixels: await images.load(index) };
      return last.pixels;
    };
  };

  async function* chunks(): AsyncGenerator<BankChunk> {
    const executable = await clip.compile(bankFeaturesGraph(options), adapters);
    const pixels = pixelsOf();
    try {
      for (let first = 0; first < total; first += batch) {
        if (images.signal?.aborted) throw new AbortedError();
        const count = Math.min(batch, total - first);
        const loaded: Float32Array[] = [];
        for (let i = first; i < first + count; i++)
          loaded.push(await pixels(Math.floor(i / versions.length)));
        const matrices = Array.from(
          { length: batch },
          (_, i) => versions[(first + i) % versions.length]!.matrix,
        );
        const out = await executable.run({
          images: packImages(loaded, batch, imageSize, false),
          transforms: Float32Array.from(matrices.flat()),
        });
        for (const [tensor, { head, stage, shape }] of tensors.entries()) {
          const values = (out[`${head}.${stage}`] as Float32Array<ArrayBuffer>).slice(
            0,
            count * tokens * shape[1],
          );
          const remedy =
            clip.precision === 'f16'
              ? 'Values overflowed f16: use --precision f32.'
              : 'Check weights and checkpoint.';
          yield { tensor, first: first * tokens, rows: toUnitRows(values, shape[1], remedy) };
        }
        images.onProgress?.(first + count, total);
      }
    } finally {
      executable.destroy();
    }
  }
  return { tensors, chunks, close: async () => {} };
}
