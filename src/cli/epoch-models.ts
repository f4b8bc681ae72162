import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CALIBRATION_KEY } from '../evaluation/calibration';
import { fileBytes } from '../io/node/file-bytes';
import { openWeights } from '../io/open-weights';
import { COLUMNS } from '../model/saved-columns';
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

/** Metadata in which the models of one training differ. */
const DIFFERS: ReadonlySet<string> = new Set([
  'step',
  'steps',
  'epochs',
  'crc32',
  'digest',
  CALIBRATION_KEY,
  COLUMNS,
]);

/** As `epochModels`. @throws OptionError also where one of them was left by another training. */
export async function ownEpochModels(model: string): Promise<string[]> {
  const paths = await epochModels(model);
  const own = await metadataOf(model);
  for (const path of paths) {
    const found = await metadataOf(path);
    const keys = new Set([...own.keys(), ...found.keys()]);
    const other = [...keys].find((key) => !DIFFERS.has(key) && own.get(key) !== found.get(key));
    if (other === undefined && Number(found.get('step')) <= Number(own.get('step'))) continue;
    const what = other === undefined ? 'it was trained for longer' : `their ${other} differ`;
    throw new OptionError(`${path} is of another training than ${model}: ${what}.`, 'Remove it.');
  }
  return paths;
}

async function metadataOf(path: string): Promise<ReadonlyMap<string, string>> {
  const source = await openWeights(await fileBytes(path));
  await source.close();
  return source.metadata;
}
