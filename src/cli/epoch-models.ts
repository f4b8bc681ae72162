import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { OptionError } from '../runtime/errors';

/** Where a model's state after an epoch lies. @param epoch counted from 1. */
export function epochPath(out: string, epoch: number): string {
  return `${out.replace(/\.safetensors$/i, '')}.epoch-${epoch}.safetensors`;
}

/** The models that `train --keep-epochs` left beside a model, by epoch. @throws OptionError where there are none. */
export async function epochModels(model: string): Promise<string[]> {
  const folder = dirname(model);
  const stem = basename(epochPath(model, 0)).replace(/0\.safetensors$/, '');
  const names = await readdir(folder).catch(() => []);
  const epochs = names
    .map((name) => (name.startsWith(stem) ? /^(\d+)\.safetensors$/.exec(name.slice(stem.length)) : null))
    .filter((match) => match !== null)
    .map((match) => Number(match[1]))
    .sort((a, b) => a - b);
  if (epochs.length > 0) return epochs.map((epoch) => join(folder, `${stem}${epoch}.safetensors`));
  throw new OptionError(
    `${model}: there are no models of its epochs beside it (${stem}1.safetensors and so on).`,
    'Train with --keep-epochs.',
  );
}
