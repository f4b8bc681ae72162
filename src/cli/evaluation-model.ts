/** The model that an evaluation is of, as the flags say, and what identifies it in results. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { knownDataset } from '../data/known-datasets';
import { version } from '../io/version';
import { type DetectionModel, imageIdentity, loadModel, MlaLp } from '../library/node';
import { sha256, weightsIdentity } from '../model/identity';
import type { ChosenBank } from './bank';
import type { ModelFlags } from './evaluation-flags';
import { progressBar } from './progress';
import type { Session } from './session';
import { choosePrompts } from './sidecar';
import { type TrainedOn, trainedOn } from './trained-on';
import { requireWeights } from './training-flags';

export interface EvaluatedModel {
  readonly model: DetectionModel;
  /** What makes its results what they are; goes into results. */
  readonly configuration: Readonly<Record<string, string | number | boolean>>;
}

/**
 * @param file trained adapters and prompts; none for method clip. @param dataset names the object in fixed sentences, unless undefined.
 * @throws OptionError, BadFileError
 */
export async function openEvaluatedModel(
  session: Session,
  flags: ModelFlags & { quiet?: boolean },
  file: string | undefined,
  dataset: string | undefined,
  bank: ChosenBank | undefined,
): Promise<EvaluatedModel> {
  const weights = requireWeights(flags.weights);
  const prompts = await choosePrompts(flags, weights);
  const trained = await trainedOn(file);
  const object = flags.object ?? objectOf(trained, dataset);
  const { method, preset, imageSize, batch } = flags;
  const bar = progressBar({ label: 'memory bank', total: 0, unit: 'images', quiet: flags.quiet });
  const model = await loadModel(session.clip, {
    ...(file !== undefined && { checkpoint: file }),
    ...(method && { method }),
    ...(preset && { preset }),
    ...(imageSize && { imageSize }),
    ...(batch && { batch }),
    ...(object !== undefined && { object }),
    ...prompts.options,
    ...(bank && {
      bank:
        typeof bank.source === 'string'
          ? bank.source
          : { ...bank.source, onProgress: (done: number, total: number) => bar.update(done, total) },
    }),
  });
  if (bank) bar.finish();
  const fixed = !(model instanceof MlaLp && model.hasPrompts);
  if (!fixed && (flags.prompts ?? flags.object) !== undefined)
    console.error('The model has learned prompts: --prompts and --object are not used.');
  // Those that came with the weights count where nothing else names any.
  const used = fixed && (!prompts.own || !(object ?? trained.named)) ? prompts.file : undefined;
  return {
    model,
    configuration: {
      weights: basename(weights),
      weightsIdentity: (await weightsIdentity(session.clip.source)).slice(0, 16),
      ...(file !== undefined && { model: basename(file), modelDigest: await digestOf(file) }),
      precision: flags.precision,
      ...(bank && { bank: bank.description, bankDigest: await bankDigest(bank) }),
      ...(object !== undefined && fixed && { object }),
      ...(used !== undefined && { prompts: basename(used), promptsDigest: await digestOf(used) }),
    },
  };
}

/** The bank file's digest, or one of its images, in their order. */
async function bankDigest({ source }: ChosenBank): Promise<string> {
  if (typeof source === 'string') return digestOf(source);
  const identities: string[] = [];
  for (const image of source.images) identities.push(await imageIdentity(image));
  return (await sha256(identities.join('\n'))).slice(0, 16);
}

/**
 * What fixed sentences call the object where no flag says it: nothing where the model brings sentences of its own; the word that it
 * was trained with; the data set's.
 */
function objectOf({ named, object }: TrainedOn, dataset: string | undefined): string | undefined {
  if (named === 'sentences') return undefined;
  return object ?? (dataset === undefined ? undefined : knownDataset(dataset)?.object);
}

/** Beginning of a file's SHA-256, hexadecimal. */
async function digestOf(file: string): Promise<string> {
  if (file.startsWith('synthetic:')) return file;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex').slice(0, 16);
}

/** What ran, for results. */
export function versionsOf(session: Session): Record<string, string> {
  return {
    'mla-lp': version,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    adapter: session.gpu.name,
  };
}
