/** The memory bank of few-shot scoring (paper, section 3.4), computed from features that training holds anyway. */
import { tokensOf } from '../model/clip-config';
import type { BankTensor } from '../model/memory-bank-tensors';
import { adaptedBlocks, stageBlocks } from '../model/mla-lp-graph';
import { Graph } from '../runtime/graph';
import type { StepGraphOptions } from './step-graph';

/**
 * Input: features [B, T, width] as `prefixGraph` gives them. Output: rows [B, T, embed], the bottleneck features of one stage
 * and head; later stages are not computed.
 */
export function bankGraph(options: Omit<StepGraphOptions, 'masks'>, { stage, head }: BankTensor): Graph {
  const { config, dtype, batch, stages } = options;
  const g = new Graph();
  const features = g.input('features', dtype, [batch, tokensOf(options), config.width]);
  const [start] = stageBlocks(config.layers, stages) as [number];
  adaptedBlocks(g, features, start, { ...options, apart: true }, (visited, mids) => {
    if (visited === stage) g.output('rows', mids[head]);
  });
  return g;
}
