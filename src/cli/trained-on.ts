import { fileBytes } from '../io/node/file-bytes';
import { openWeights } from '../io/open-weights';
import { DEFAULT_OBJECT } from '../model/prompts';
import { BadFileError } from '../runtime/errors';

/** What a model of ours says of its training. */
export interface TrainedOn {
  /** Identities of its normal shots (`imageIdentity`). */
  readonly normals?: readonly string[];
  readonly augment?: boolean;
  readonly method?: string;
  /** Whether it was trained on fixed sentences that its file names: `sentences` of its own, or with a word for the object. */
  readonly named?: 'sentences' | 'object';
  /** That word, where it was told. */
  readonly object?: string;
}

/** What the file of a model of ours, or of its memory bank, says; nothing for others. @throws BadFileError */
export async function trainedOn(file: string | undefined): Promise<TrainedOn> {
  if (file === undefined || file.startsWith('synthetic:')) return {};
  const source = await openWeights(await fileBytes(file));
  try {
    const { metadata } = source;
    const said = (key: string): unknown => {
      try {
        return JSON.parse(metadata.get(key) ?? 'null');
      } catch {
        throw new BadFileError(file, `its ${key} cannot be read`, 'Use the file that training wrote.');
      }
    };
    const normals = said('normals');
    const augment = (said('config') as { augment?: unknown } | null)?.augment;
    const [method, object] = [metadata.get('method'), metadata.get('object')];
    const named = (['sentences', 'object'] as const).find((key) => metadata.has(key));
    return {
      ...(method !== undefined && { method }),
      ...(named && { named }),
      // The general word is what stands for none.
      ...(object !== undefined && object !== DEFAULT_OBJECT && { object }),
      ...(isTexts(normals) && { normals }),
      ...(typeof augment === 'boolean' && { augment }),
    };
  } finally {
    await source.close();
  }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
