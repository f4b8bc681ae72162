/** What lies beside weights and says how they were trained. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolveWeights } from '../io/node/open-weights';
import type { LoadModelOptions } from '../library/node';
import { type PromptSet, parsePrompts } from '../model/prompts';
import { OptionError } from '../runtime/errors';

/** `<weights>.prompts.json` beside the weights, if there is one. */
export async function sidecarPrompts(weights: string): Promise<string | undefined> {
  if (weights.startsWith('synthetic:')) return undefined;
  const path = `${(await resolveWeights(weights)).replace(/\.[^.\\/]+$/, '')}.prompts.json`;
  return existsSync(path) ? path : undefined;
}

/** Sentences, and the image size that the weights were trained at where the file says. @throws OptionError */
export async function readPrompts(path: string): Promise<{ set: PromptSet; imageSize?: number }> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new OptionError(`${path}: the prompts cannot be read (${cause.code}).`, 'Check the path.');
  });
  const set = parsePrompts(text, path);
  const size = /^\s*\{/.test(text) ? (JSON.parse(text) as { imageSize?: unknown }).imageSize : undefined;
  return { set, ...(typeof size === 'number' && { imageSize: size }) };
}

export interface ChosenPrompts {
  /** The file of the sentences; undefined where there is none. */
  readonly file: string | undefined;
  /** Whether they came with the weights. */
  readonly own: boolean;
  /** For `loadModel`. */
  readonly options: Pick<LoadModelOptions, 'prompts' | 'nativePrompts' | 'nativeImageSize'>;
}

/**
 * The sentences that the flags name, else those beside the weights, which may bring the image size that they were trained with
 * too. @throws OptionError
 */
export async function choosePrompts(
  { prompts, object }: { readonly prompts?: string; readonly object?: string },
  weights: string,
): Promise<ChosenPrompts> {
  const beside = prompts === undefined && object === undefined ? await sidecarPrompts(weights) : undefined;
  const file = prompts ?? beside;
  const own = beside !== undefined;
  if (file === undefined) return { file, own, options: {} };
  const { set, imageSize } = await readPrompts(file);
  const options = {
    ...(imageSize && { nativeImageSize: imageSize }),
    // A model that says what it was trained with goes before what came with the weights.
    ...(own ? { nativePrompts: set } : { prompts: set }),
  };
  return { file, own, options };
}

/** The image size, px, that a file beside the weights names; undefined without one. */
export async function sidecarImageSize(weights: string): Promise<number | undefined> {
  const path = await sidecarPrompts(weights);
  return path === undefined ? undefined : (await readPrompts(path)).imageSize;
}
