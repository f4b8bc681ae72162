/** The six data sets of the paper's tables: what their folders are called, what is in the pictures, which have pixel labels. */
import { objectNames } from '../model/prompts';

export type KnownDatasetName = keyof typeof objectNames;

export interface KnownDataset {
  /** As tables have it. */
  readonly name: KnownDatasetName;
  /** Below the folder that holds all of them. */
  readonly folder: string;
  /** What MVFA's fixed sentences call what is seen: `fixedPrompts(object)`. */
  readonly object: string;
  /** Whether it was published with pixel labels. */
  readonly hasMasks: boolean;
}

const masked: ReadonlySet<KnownDatasetName> = new Set(['Brain', 'Liver', 'Retina_RESC']);

/** In the order of the authors' code: those with pixel labels first. */
export const knownDatasets: readonly KnownDataset[] = (
  ['Brain', 'Liver', 'Retina_RESC', 'Retina_OCT2017', 'Chest', 'Histopathology'] as const
).map((name) => ({ name, folder: `${name}_AD`, object: objectNames[name], hasMasks: masked.has(name) }));

/** The known data set of this name, with or without "_AD", in any case; undefined for others. */
export function knownDataset(name: string): KnownDataset | undefined {
  const plain = name.replace(/_AD$/i, '').toLowerCase();
  return knownDatasets.find((known) => known.name.toLowerCase() === plain);
}
