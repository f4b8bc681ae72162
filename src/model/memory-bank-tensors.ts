/**
 * What a memory bank of few-shot scoring consists of (paper, section 3.4): per stage and head the bottleneck features of
 * normal images, in all their versions, class tokens included. Scores are distances to the nearest of them.
 */

import { BadFileError } from '../runtime/errors';
import { elementCount, type TensorSource } from './tensor-source';

export type Head = 'seg' | 'det';
export const HEADS = ['seg', 'det'] as const;

/** One tensor of a bank: f32 [rows, embed]. */
export interface BankTensor {
  readonly name: string;
  readonly stage: number;
  readonly head: Head;
  readonly shape: readonly [rows: number, embed: number];
}

/** The tensors of a bank, in the order they are written. */
export function bankTensors(stages: number, rows: number, embed: number): BankTensor[] {
  return HEADS.flatMap((head) =>
    Array.from({ length: stages }, (_, stage) => ({
      name: `memory_bank.${head}.${stage}`,
      stage,
      head,
      shape: [rows, embed] as const,
    })),
  );
}

/** The tensors of a bank file. @throws BadFileError when it is none for a model of these sizes. */
export function storedBankTensors(
  { label, tensors }: TensorSource,
  stages: number,
  embed: number,
): BankTensor[] {
  const rows = tensors.get('memory_bank.seg.0')?.shape[0] ?? 0;
  const found = bankTensors(stages, rows, embed);
  for (const { name, shape } of found) {
    const stored = tensors.get(name);
    const fact = !stored
      ? `the tensor ${name} is missing`
      : stored.dtype !== 'F32' || stored.shape.length !== 2 || elementCount(shape) === 0
        ? `the tensor ${name} is ${stored.dtype} [${stored.shape}], not F32 [rows, ${embed}]`
        : stored.shape[0] !== rows || stored.shape[1] !== embed
          ? `the tensor ${name} is [${stored.shape}], not [${shape}]`
          : undefined;
    if (fact)
      throw new BadFileError(
        label,
        fact,
        'Give the memory bank that `train --bank` wrote beside this model.',
      );
  }
  return found;
}
