/** Text columns of fixed sentences: MVFA's ensemble, or a user's own. */
import type { ActivationKind } from '../kernels/activation/activation';
import type { Clip } from './clip';
import { type PromptSet, promptTokens } from './prompts';

/** f32 [2, embed]: per class the mean of unit features, of length 1; normal first. */
export async function fixedColumns(
  clip: Clip,
  prompts: PromptSet,
  activation: ActivationKind,
): Promise<Float32Array<ArrayBuffer>> {
  const tokens = await promptTokens(prompts, clip.config.context);
  const columns = new Float32Array(2 * clip.config.embed);
  columns.set(await clip.fixedColumn(tokens.normal, activation), 0);
  columns.set(await clip.fixedColumn(tokens.abnormal, activation), clip.config.embed);
  return columns;
}
