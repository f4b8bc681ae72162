/** CLIP's text tower; names as in OpenAI's checkpoints. */

import { assemblePrompts } from '../kernels/assemble-prompts/assemble-prompts';
import { gemm } from '../kernels/gemm/gemm';
import { groupMean } from '../kernels/group-mean/group-mean';
import { l2Normalize } from '../kernels/l2-normalize/l2-normalize';
import { reduce } from '../kernels/reduce/reduce';
import { Graph, type Tensor } from '../runtime/graph';
import { namedLayerNorm, transformerBlock } from './transformer';
import type { TowerOptions } from './vision-tower';
import { textPositionName, transposedName } from './weight-names';

export interface TextTowerOptions extends TowerOptions {
  /** Rows see only what precedes them: as CLIP was trained. */
  readonly causal: boolean;
}

/**
 * Token embeddings to features at each prompt's end-of-text token: position embeddings, blocks, ln_final, projection.
 * @param tokens f32 [P, T, textWidth], T <= context. @param contexts up to two f32 [P_i, M, textWidth] replace positions 1..M of
 * the prompts, those of the second after those of the first.
 * @param ends u32 [P]: row p*T + position of the end-of-text token. @returns f32 [P, embed], not normalised.
 */
function textFeatures(
  g: Graph,
  tokens: Tensor,
  contexts: readonly Tensor[],
  ends: Tensor,
  { config, activation, dtype, causal, training = false }: TextTowerOptions,
): Tensor {
  const { textWidth: width, embed } = config;
  const length = tokens.shape[1]!;
  // The causal tower is exact on a prefix, so only the first `length` positions are kept.
  const position = g.weight(textPositionName(length), 'f32', [length, width]);
  let x = assemblePrompts(g, tokens, contexts, position, dtype);
  for (let i = 0; i < config.textLayers; i++) {
    // Nobody reads more of the last block than the end tokens.
    const read = i === config.textLayers - 1 ? ends : undefined;
    const options = {
      width,
      heads: config.textHeads,
      mlp: config.textMlp,
      activation,
      causal,
      dtype,
      training,
    };
    x = g.scope(`text${i}`, () => transformerBlock(g, x, `transformer.resblocks.${i}.`, options, read));
  }
  const projection = g.weight(transposedName('text_projection'), dtype, [embed, width]);
  return gemm(g, namedLayerNorm(g, x, 'ln_final'), projection, { out: 'f32' });
}

/**
 * Graph of plain text features. Inputs: tokens f32 [P, T, textWidth], ends u32 [P]. Outputs: features f32 [P, embed] and
 * unit f32 [P, embed], the same of length 1.
 */
export function textGraph(prompts: number, length: number, options: TextTowerOptions): Graph {
  const g = new Graph();
  const tokens = g.input('tokens', 'f32', [prompts, length, options.config.textWidth]);
  const features = textFeatures(g, tokens, [], g.input('ends', 'u32', [prompts]), options);
  g.output('features', features);
  g.output('unit', l2Normalize(g, features));
  return g;
}

export interface PromptCounts {
  readonly normal: number;
  readonly abnormal: number;
}

/**
 * MLA-LP's text columns (eq. 1-3): learned context vectors before fixed phrases, all prompts in one batch through the tower; per
 * class the mean of un-normalised features, then one L2 normalisation.
 * @param tokens f32 [P, T, textWidth], the normal class's prompts first. @param ends u32 [P]: row p*T + position of the
 * end-of-text token. @param contexts f32 [n, M, textWidth] of each class. @returns f32 [2, embed], unit rows, normal first.
 */
export function promptColumns(
  g: Graph,
  tokens: Tensor,
  ends: Tensor,
  contexts: readonly Tensor[],
  { normal, abnormal }: PromptCounts,
  options: TextTowerOptions,
): Tensor {
  const features = textFeatures(g, tokens, contexts, ends, options);
  return l2Normalize(g, groupMean(g, features, [normal, abnormal]));
}

/**
 * Graph of MLA-LP's text columns. Inputs: tokens f32 [P, T, textWidth], ends u32 [P], both classes' prompts, normal first.
 * Weights: the tower's and the context vectors. Output: text f32 [2, embed], unit rows, normal first.
 */
export function promptGraph(
  counts: PromptCounts,
  contextVectors: number,
  length: number,
  options: TextTowerOptions,
): Graph {
  const g = new Graph();
  const width = options.config.textWidth;
  const prompts = counts.normal + counts.abnormal;
  const tokens = g.input('tokens', 'f32', [prompts, length, width]);
  const ends = g.input('ends', 'u32', [prompts]);
  const contexts = (['normal', 'abnormal'] as const).map((kind) =>
    g.weight(`prompt_learner.ctx.${kind}_end`, 'f32', [counts[kind], contextVectors, width]),
  );
  g.output('text', promptColumns(g, tokens, ends, contexts, counts, options));
  return g;
}

/** Graph of a class's text column from the features of a fixed ensemble, rows f32 [P, embed]: their mean, of length 1. */
export function columnGraph(prompts: number, embed: number): Graph {
  const g = new Graph();
  g.output('column', l2Normalize(g, reduce(g, g.input('rows', 'f32', [prompts, embed]), 0, 'mean')));
  return g;
}
