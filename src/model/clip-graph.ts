/** Plain CLIP: the image embedding, and the training-free baseline that compares last-block patch tokens with text. */
import { gatherRows } from '../kernels/gather-rows/gather-rows';
import { gemm } from '../kernels/gemm/gemm';
import { Graph, type Tensor } from '../runtime/graph';
import { abnormalMap, meanProbabilities, patchLogits } from './heads';
import { namedLayerNorm } from './transformer';
import { embedImages, type TowerOptions, visionBlock } from './vision-tower';
import { transposedName } from './weight-names';

export interface ClipGraphOptions extends TowerOptions {
  readonly batch: number;
  /** Side the model runs at, px. */
  readonly imageSize: number;
}

function lastBlock(g: Graph, images: Tensor, options: ClipGraphOptions): Tensor {
  let x = g.scope('embed', () => embedImages(g, images, options));
  for (let block = 0; block < options.config.layers; block++) x = visionBlock(g, x, block, options);
  return x;
}

/** ln_post, then visual.proj; [..., width] -> [..., embed]. */
export function project(g: Graph, x: Tensor, { config, dtype }: TowerOptions, out = dtype): Tensor {
  const projection = g.weight(transposedName('visual.proj'), dtype, [config.embed, config.width]);
  return gemm(g, namedLayerNorm(g, x, 'visual.ln_post'), projection, { out });
}

/** Input: images f32 [B, 3, S, S]; rows u32 [B], the class tokens' rows b*T. Output: features f32 [B, embed], not normalised. */
export function imageEmbeddingGraph(options: ClipGraphOptions): Graph {
  const { batch, imageSize } = options;
  const g = new Graph();
  const x = lastBlock(g, g.input('images', 'f32', [batch, 3, imageSize, imageSize]), options);
  const rows = g.reshape(x, [batch * x.shape[1]!, options.config.width]);
  const classTokens = gatherRows(g, rows, g.input('rows', 'u32', [batch]));
  g.output('features', project(g, classTokens, options, 'f32'));
  return g;
}

/**
 * The baseline: patch tokens of the last block through ln_post and visual.proj, against two text columns.
 * Inputs: images f32 [B, 3, S, S] in 0..1; text f32 [2, C], unit rows, normal first.
 * Outputs: level.0 f32 [B, 2]; map f32 [B, S, S] of P(abnormal), logits resized before the softmax.
 */
export function clipBaselineGraph(options: ClipGraphOptions): Graph {
  const { config, batch, imageSize } = options;
  const g = new Graph();
  const images = g.input('images', 'f32', [batch, 3, imageSize, imageSize]);
  const text = g.input('text', 'f32', [2, config.embed]);
  const features = project(g, lastBlock(g, images, options), options);
  const logits = patchLogits(g, features, text);
  g.output('level.0', meanProbabilities(g, logits));
  g.output('map', abnormalMap(g, [logits], imageSize, false));
  return g;
}
