/** What every command that computes begins with: a device, named on screen, and a CLIP. */
import { resolveWeights, sidecarHeads } from '../io/node/open-weights';
import { loadClip, openDevice } from '../library/node';
import type { Clip } from '../model/clip';
import type { Gpu, Precision } from '../runtime/device';
import { OptionError } from '../runtime/errors';
import { progressBar } from './progress';

export interface SessionOptions {
  readonly weights: string;
  readonly precision: string;
  readonly heads?: number;
  readonly textHeads?: number;
  /** Nothing but errors on stderr. */
  readonly quiet: boolean;
}

export interface Session {
  readonly gpu: Gpu;
  readonly clip: Clip;
  /** Frees everything. */
  close(): Promise<void>;
}

/** Opens the device, says which one and why, and opens the weights (they upload when a model needs them). */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { quiet } = options;
  const precision = parsePrecision(options.precision);
  const weights = await resolveWeights(options.weights);
  const heads = { ...(await sidecarHeads(weights)), ...given(options) };
  const gpu = await openDevice();
  if (!quiet) {
    console.error(`Adapter: ${gpu.name}. ${gpu.choice.reason}`);
  }
  let bar: ReturnType<typeof progressBar> | undefined;
  const clip = await loadClip(gpu, weights, {
    precision,
    ...heads,
    onProgress({ loadedBytes, totalBytes }) {
      // Small models load at once; a bar for them would only flicker.
      if (totalBytes < 64e6) return;
      bar ??= progressBar({ label: 'weights', total: totalBytes, unit: 'bytes', quiet });
      bar.update(loadedBytes, totalBytes);
      if (loadedBytes < totalBytes) return;
      bar.finish();
      bar = undefined;
    },
  }).catch((error: unknown) => {
    gpu.destroy();
    throw error;
  });
  return {
    gpu,
    clip,
    async close() {
      await clip.close();
      gpu.destroy();
    },
  };
}

function given({ heads, textHeads }: SessionOptions): { heads?: number; textHeads?: number } {
  return { ...(heads && { heads }), ...(textHeads && { textHeads }) };
}

function parsePrecision(text: string): Precision {
  if (text === 'f32' || text === 'f16') return text;
  throw new OptionError(`There is no precision ${text}.`, 'Use f32 or f16.');
}
