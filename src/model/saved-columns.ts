/**
 * Text columns that are kept with the model whose prompts they are of: prompts do not change after training, and the text tower is most
 * of the way to a first result where a CPU computes, a third of all weights elsewhere.
 */
import type { ClipConfig } from './clip-config';
import { sha256 } from './identity';
import type { TensorSource } from './tensor-source';

/** The metadata's key. */
export const COLUMNS = 'columns';

/** Furthest that a column's length may be from 1. */
const UNIT = 1e-3;

type Vectors = Readonly<Record<'normal' | 'abnormal', Float32Array>>;

/**
 * @param columns f32 [2, embed], unit rows. @param contexts the context vectors that they were computed from. @param heads of the text
 * tower, which weights do not tell.
 */
export async function columnsText(columns: Float32Array, contexts: Vectors, heads: number): Promise<string> {
  return JSON.stringify({ of: await digestOf(contexts, heads), values: hexOf(columns) });
}

/**
 * The columns that a checkpoint of ours keeps of its prompts, f32 [2, embed]; undefined where it keeps none, or none of these
 * prompts or of another number of heads: somebody may have changed them.
 */
export async function savedColumns(
  checkpoint: Pick<TensorSource, 'tensors' | 'metadata' | 'read'>,
  { embed, textHeads }: Pick<ClipConfig, 'embed' | 'textHeads'>,
): Promise<Float32Array<ArrayBuffer> | undefined> {
  const { tensors, metadata } = checkpoint;
  const text = metadata.get(COLUMNS);
  const [normal, abnormal] = ['normal', 'abnormal'].map((kind) => `prompt_learner.ctx.${kind}_end`);
  if (text === undefined || !tensors.has(normal!) || !tensors.has(abnormal!)) return undefined;
  const kept = parsed(text);
  if (kept?.values.length !== 2 * embed * 8) return undefined;
  const contexts = { normal: await checkpoint.read(normal!), abnormal: await checkpoint.read(abnormal!) };
  if (kept.of !== (await digestOf(contexts, textHeads))) return undefined;
  const columns = new Float32Array(2 * embed);
  const bits = new Uint32Array(columns.buffer);
  for (let i = 0; i < bits.length; i++) bits[i] = Number.parseInt(kept.values.slice(8 * i, 8 * i + 8), 16);
  const lengths = [columns.subarray(0, embed), columns.subarray(embed)].map((row) => Math.hypot(...row));
  return lengths.every((length) => Math.abs(length - 1) < UNIT) ? columns : undefined;
}

function parsed(text: string): { readonly of: string; readonly values: string } | undefined {
  try {
    const { of, values } = JSON.parse(text) as { of?: unknown; values?: unknown };
    return typeof of === 'string' && typeof values === 'string' ? { of, values } : undefined;
  } catch {
    return undefined;
  }
}

function digestOf({ normal, abnormal }: Vectors, heads: number): Promise<string> {
  return sha256(`${heads} ${hexOf(normal)} ${hexOf(abnormal)}`);
}

/** Bits, eight hexadecimal digits a value. */
function hexOf(values: Float32Array): string {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Array.from(words, (word) => word.toString(16).padStart(8, '0')).join('');
}
