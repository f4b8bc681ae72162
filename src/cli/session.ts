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
  /** After the device was lost: puts a fresh adapter, and a CLIP that lives on it, in place of `gpu` and `clip`. */
  reopen(): Promise<void>;
  /** Frees everything. */
  close(): Promise<void>;
}

/** Opens the device, says which one and why, and opens the weights (they upload when a model needs them). */
export async function openSession(options: SessionOptions): Promise<Session> {
  let opened = await open(options);
  const close = async () => {
    await opened.clip.close();
    opened.gpu.destroy();
  };
  return {
    get gpu() {
      return opened.gpu;
    },
    get clip() {
      return opened.clip;
    },
    async reopen() {
      await close();
      opened = await open(options);
    },
    close,
  };
}

async function open(options: SessionOptions): Promise<Pick<Session, 'gpu' | 'clip'>> {
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
  if (!quiet) for (const note of gpu.notes) console.error(note);
  return { gpu, clip };
}

function given({ heads, textHeads }: SessionOptions): { heads?: number; textHeads?: number } {
  return { ...(heads && { heads }), ...(textHeads && { textHeads }) };
}

function parsePrecision(text: string): Precision {
  if (text === 'f32' || text === 'f16') return text;
  throw new OptionError(`There is no precision ${text}.`, 'Use f32 or f16.');
}
