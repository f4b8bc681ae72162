/** CLIP's text tower; names as in OpenAI's checkpoints. */

import { assemblePrompts } from '../kernels/assemble-prompts/assemble-prompts';
import { gatherRows } from '../kernels/gather-rows/gather-rows';
import { gemm } from '../kernels/gemm/gemm';
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
 * @param tokens f32 [P, T, textWidth], T <= context. @param context f32 [P, M, textWidth] replaces positions 1..M.
 * @param ends u32 [P]: row p*T + position of the end-of-text token. @returns f32 [P, embed], not normalised.
 */
function textFeatures(
  g: Graph,
  tokens: Tensor,
  context: Tensor | undefined,
  ends: Tensor,
  { config, activation, dtype, causal }: TextTowerOptions,
): Tensor {
  const { textWidth: width, embed } = config;
  const [prompts, length] = tokens.shape as readonly [number, number, number];
  // The causal tower is exact on a prefix, so only the first `length` positions are kept.
  const position = g.weight(textPositionName(length), 'f32', [length, width]);
  let x = assemblePrompts(g, tokens, context, position, dtype);
  for (let i = 0; i < config.textLayers; i++) {
    x = g.scope(`text${i}`, () =>
      transformerBlock(g, x, `transformer.resblocks.${i}.`, {
        width,
        heads: config.textHeads,
        mlp: config.textMlp,
        activation,
        causal,
        dtype,
      }),
    );
  }
  const rows = gatherRows(g, g.reshape(x, [prompts * length, width]), ends);
  const projection = g.weight(transposedName('text_projection'), dtype, [embed, width]);
  return gemm(g, namedLayerNorm(g, rows, 'ln_final'), projection, { out: 'f32' });
}

/**
 * Graph of plain text features. Inputs: tokens f32 [P, T, textWidth], ends u32 [P]. Outputs: features f32 [P, embed] and
 * unit f32 [P, embed], the same of length 1.
 */
export function textGraph(prompts: number, length: number, options: TextTowerOptions): Graph {
  const g = new Graph();
  const tokens = g.input('tokens', 'f32', [prompts, length, options.config.textWidth]);
  const features = textFeatures(g, tokens, undefined, g.input('ends', 'u32', [prompts]), options);
  g.output('features', features);
  g.output('unit', l2Normalize(g, features));
  return g;
}

export interface PromptCounts {
  readonly normal: number;
  readonly abnormal: number;
}

/**
 * Graph of MLA-LP's text columns (eq. 1-3): learned context vectors before fixed phrases, through the tower; per class the
 * mean of un-normalised features, then one L2 normalisation.
 * Inputs, for each class k of normal and abnormal: k.tokens f32 [P, T, textWidth], k.ends u32 [P]. Weights: the context
 * vectors.
 * Outputs: normal, abnormal, f32 [embed], unit length.
 */
export function promptGraph(
  counts: PromptCounts,
  contextVectors: number,
  length: number,
  options: TextTowerOptions,
): Graph {
  const g = new Graph();
  const width = options.config.textWidth;
  for (const kind of ['normal', 'abnormal'] as const) {
    const n = counts[kind];
    const tokens = g.input(`${kind}.tokens`, 'f32', [n, length, width]);
    const context = g.weight(`prompt_learner.ctx.${kind}_end`, 'f32', [n, contextVectors, width]);
    const ends = g.input(`${kind}.ends`, 'u32', [n]);
    const features = g.scope(kind, () => textFeatures(g, tokens, context, ends, options));
    g.output(kind, l2Normalize(g, reduce(g, features, 0, 'mean')));
  }
  return g;
}

/** Graph of a class's text column from unit features (MVFA's fixed ensemble): their mean, of length 1. */
export function columnGraph(prompts: number, embed: number): Graph {
  const g = new Graph();
  g.output('column', l2Normalize(g, reduce(g, g.input('unit', 'f32', [prompts, embed]), 0, 'mean')));
  return g;
}
