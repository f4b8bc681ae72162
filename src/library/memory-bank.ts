/** The memory bank of a model, from normal images or a file. */
import { toModelInput } from '../data/resize';
import type { Clip } from '../model/clip';
import { tokensOf } from '../model/clip-config';
import type { MakeBank } from '../model/detector';
import { weightsIdentity } from '../model/identity';
import { MemoryBank } from '../model/memory-bank';
import { computedRows } from '../model/memory-bank-features';
import type { BankGraphOptions } from '../model/memory-bank-graph';
import { type BankSource, storedRows } from '../model/memory-bank-source';
import { type BankTensor, storedBankTensors } from '../model/memory-bank-tensors';
import type { TensorSource } from '../model/tensor-source';
import { BadFileError, OptionError } from '../runtime/errors';
import { readInput } from './image-input';
import { openTensors, type WeightsInput } from './load-clip';
import { type ImageInput, platform } from './platform';

/** Normal images that a memory bank is made of. */
export interface BankImages {
  readonly images: readonly ImageInput[];
  /** All eleven versions of each (rotations, translations, flips), as in the paper; true unless told. */
  readonly augment?: boolean;
  /** Called with the number of image versions that are done, and of all. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Normal images, or a bank file that `train --bank` wrote. */
export type BankInput = BankImages | WeightsInput;

/** The model that a bank must belong to. */
export interface BankOwner {
  readonly preset: string;
  readonly imageSize: number;
  readonly stages: number;
  /** What the checkpoint says of itself; nothing when others wrote it. */
  readonly metadata: ReadonlyMap<string, string>;
}

function isImages(input: BankInput): input is BankImages {
  return typeof input === 'object' && 'images' in input;
}

export interface OpenedBank {
  readonly make: MakeBank;
  /** For when nothing is made. Calling it again does nothing. */
  close(): Promise<void>;
}

/**
 * @param budget bytes on the device.
 * @throws BadFileError for a bank of another model, OptionError; from `make` what reading images throws.
 */
export async function openBank(
  clip: Clip,
  input: BankInput,
  owner: BankOwner,
  budget: number | undefined,
): Promise<OpenedBank> {
  if (budget !== undefined && !(budget > 0))
    throw new OptionError(`A memory bank cannot have ${budget} bytes.`, 'Give more than 0.');
  if (isImages(input)) {
    return {
      make: (adapters, options) =>
        bankOf(computedRows(clip, adapters, options, normalImages(input, options.imageSize)), options),
      close: async () => {},
    };
  }
  const file = await openTensors(input);
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= file.close();
    return closing;
  };
  let tensors: BankTensor[];
  try {
    await checkOwner(file, clip, owner);
    tensors = storedBankTensors(file, owner.stages, clip.config.embed);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    make: (_adapters, options) => bankOf(storedRows(file, tensors, close), options),
    close,
  };

  function bankOf(source: BankSource, options: BankGraphOptions): Promise<MemoryBank> {
    return MemoryBank.create(clip.gpu, source, {
      precision: clip.precision,
      ...(budget !== undefined && { budget }),
      entryRows: tokensOf(options),
      openSpill: (entryBytes) => platform().openSpill(entryBytes),
    });
  }
}

/** What a bank is computed from. @param size px, as the model runs. */
function normalImages({ images, augment = true, onProgress, signal }: BankImages, size: number) {
  return {
    count: images.length,
    augment,
    ...(onProgress && { onProgress }),
    ...(signal && { signal }),
    load: async (index: number) => toModelInput(await readInput(images[index]!, index), size),
  };
}

/** Normal images for a method that has no bank files. @throws OptionError for one. */
export function referenceImages(bank: BankInput | undefined, method: string, size: number) {
  if (bank === undefined) return undefined;
  if (isImages(bank)) return normalImages(bank, size);
  throw new OptionError(
    `Method ${method} has no bank files.`,
    'Give normal images to compare with (--bank-images).',
  );
}

/** What makes features what they are. Files of others say nothing of it. */
const SHARED = ['method', 'config', 'seed', 'step', 'normals'] as const;

/** @throws BadFileError when the bank's features are another model's: distances to them would mean nothing. */
async function checkOwner({ label, metadata }: TensorSource, clip: Clip, owner: BankOwner): Promise<void> {
  const refuse = (fact: string) =>
    new BadFileError(label, fact, 'Give the bank that was written beside the model, or normal images.');
  const weights = metadata.get('weights');
  if (weights !== undefined && weights !== (await weightsIdentity(clip.source)))
    throw refuse(`it was made with another CLIP than ${clip.source.label}`);
  for (const [key, mine] of [
    ['imageSize', String(owner.imageSize)],
    ['preset', owner.preset],
  ] as const) {
    const theirs = metadata.get(key);
    if (theirs !== undefined && theirs !== mine)
      throw refuse(`it was made with ${key} ${theirs}, not ${mine}`);
  }
  const other = SHARED.find((key) => {
    const [mine, theirs] = [owner.metadata.get(key), metadata.get(key)];
    return mine !== undefined && theirs !== undefined && mine !== theirs;
  });
  if (other) throw refuse(`it was made with another model: their ${other} differ`);
}
