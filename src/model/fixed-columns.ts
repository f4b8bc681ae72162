/** Text columns of fixed sentences: MVFA's or WinCLIP's ensemble, or a user's own. */
import type { ActivationKind } from '../kernels/activation/activation';
import type { Clip } from './clip';
import { type PromptSet, promptTokens } from './prompts';

/** f32 [2, embed]: per class the mean of features, of length 1; normal first. @param unit as in `Clip.fixedColumn`. */
export async function fixedColumns(
  clip: Clip,
  prompts: PromptSet,
  activation: ActivationKind,
  unit = true,
): Promise<Float32Array<ArrayBuffer>> {
  const tokens = await promptTokens(prompts, clip.config.context);
  const columns = new Float32Array(2 * clip.config.embed);
  columns.set(await clip.fixedColumn(tokens.normal, activation, unit), 0);
  columns.set(await clip.fixedColumn(tokens.abnormal, activation, unit), clip.config.embed);
  return columns;
}
