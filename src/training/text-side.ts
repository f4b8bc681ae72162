/** The text columns that training compares features with: learned prompts, or fixed sentences. */
import type { Clip, PromptInputs } from '../model/clip';
import { fixedColumns } from '../model/fixed-columns';
import { DEFAULT_OBJECT, fixedPrompts, learnablePromptTokens, type PromptSet } from '../model/prompts';
import { OptionError } from '../runtime/errors';
import type { TrainingOptions } from './options';

/** Where the text columns come from. */
export type TextSide =
  | { readonly learned: PromptInputs }
  | {
      /** f32 [2, embed]. */
      readonly columns: Float32Array<ArrayBuffer>;
      /** How a model's file names the sentences: detection needs the same. */
      readonly said: readonly [key: 'object' | 'sentences', value: string];
    };

/** @throws OptionError for sentences where prompts are learned. */
export async function textSide(
  clip: Clip,
  { method, preset, contextVectors }: TrainingOptions,
  sentences: PromptSet | undefined,
  object: string | undefined,
): Promise<TextSide> {
  if (method === 'mla-lp') {
    if (sentences ?? object)
      throw new OptionError('Method mla-lp learns its prompts.', 'Other methods train on sentences.');
    const tokens = await learnablePromptTokens(contextVectors, clip.config.context);
    return { learned: await clip.promptInputs(tokens, preset.causalPrompts) };
  }
  const { normal, abnormal } = sentences ?? fixedPrompts(object ?? DEFAULT_OBJECT);
  const columns = await fixedColumns(clip, { normal, abnormal }, preset.activation);
  const said = sentences
    ? (['sentences', JSON.stringify({ normal, abnormal })] as const)
    : (['object', object ?? DEFAULT_OBJECT] as const);
  return { columns, said };
}
