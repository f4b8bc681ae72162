import { hasLinearLayers } from '../io/linear-layers';
import type { Clip } from '../model/clip';
import type { Method } from '../model/detector';
import { OptionError } from '../runtime/errors';
import { AprilGan } from './april-gan';
import type { ComparisonOptions } from './comparison-model';
import type { DetectionModel } from './detect-each';
import { openTensors, type WeightsInput } from './load-clip';
import { MlaLp, type MlaLpOptions } from './mla-lp';
import { WinClip } from './winclip';

/** Every method that detects. */
export type ModelMethod = Method | 'winclip' | 'april-gan';

export interface LoadModelOptions
  extends Omit<MlaLpOptions, 'method'>,
    Omit<ComparisonOptions, keyof MlaLpOptions> {
  /** What the checkpoint is of, `clip` without one, unless told. */
  readonly method?: ModelMethod;
}

/** A model of any method. @throws OptionError where method and checkpoint do not go together; else as the method's own `load`. */
export async function loadModel(
  clip: Clip,
  { method, ...options }: LoadModelOptions,
): Promise<DetectionModel> {
  const { checkpoint } = options;
  if (method === 'winclip') {
    if (checkpoint === undefined) return WinClip.load(clip, options);
    throw new OptionError(
      'Method winclip takes no checkpoint: nothing is trained.',
      'Leave one of them out.',
    );
  }
  const linear = method === undefined && checkpoint !== undefined && (await holdsLayers(checkpoint));
  if (method !== 'april-gan' && !linear) return MlaLp.load(clip, { ...options, ...(method && { method }) });
  if (checkpoint !== undefined) return AprilGan.load(clip, { ...options, checkpoint });
  throw new OptionError(
    'Method april-gan needs a checkpoint with trained linear layers.',
    'Give --checkpoint.',
  );
}

async function holdsLayers(checkpoint: WeightsInput): Promise<boolean> {
  if (typeof checkpoint === 'string' && checkpoint.startsWith('synthetic:')) return false;
  const source = await openTensors(checkpoint);
  const found = hasLinearLayers(source);
  // An opened source stays the caller's.
  if (source !== checkpoint) await source.close();
  return found;
}
