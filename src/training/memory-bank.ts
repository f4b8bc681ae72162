/**
 * The memory bank of few-shot scoring (paper, section 3.4): per stage and head the bottleneck features of the training set's
 * normal images, in all their versions, class tokens included. Scores are distances to the nearest of them.
 */
import { adaptedBlocks, stageBlocks } from '../model/mla-lp-graph';
import { Graph } from '../runtime/graph';
import { type StepGraphOptions, tokensOf } from './step-graph';

/** One tensor of a bank: f32 [versions * tokens, embed]. */
export interface BankTensor {
  readonly name: string;
  readonly stage: number;
  readonly head: 'seg' | 'det';
  readonly shape: readonly [rows: number, embed: number];
}

/** The tensors of a bank of `versions` image versions, in the order they are written. */
export function bankTensors(
  options: Pick<StepGraphOptions, 'config' | 'imageSize' | 'stages'>,
  versions: number,
): BankTensor[] {
  const shape = [versions * tokensOf(options), options.config.embed] as const;
  return (['seg', 'det'] as const).flatMap((head) =>
    Array.from({ length: options.stages }, (_, stage) => ({
      name: `memory_bank.${head}.${stage}`,
      stage,
      head,
      shape,
    })),
  );
}

/**
 * Input: features [B, T, width] as `prefixGraph` gives them. Output: rows [B, T, embed], the bottleneck features of one stage
 * and head; later stages are not computed.
 */
export function bankGraph(options: Omit<StepGraphOptions, 'masks'>, { stage, head }: BankTensor): Graph {
  const { config, dtype, batch, stages } = options;
  const g = new Graph();
  const features = g.input('features', dtype, [batch, tokensOf(options), config.width]);
  const [start] = stageBlocks(config.layers, stages) as [number];
  adaptedBlocks(g, features, start, options, (visited, mids) => {
    if (visited === stage) g.output('rows', mids[head]);
  });
  return g;
}
