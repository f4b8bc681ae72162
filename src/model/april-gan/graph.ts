/**
 * APRIL-GAN as graphs (Chen et al. 2023, arXiv:2305.17382, section 2, and the authors' code): a linear layer for the patch tokens
 * of each of four stages maps them to the joint embedding, where they meet the text columns.
 */
import { classSum } from '../../kernels/class-sum/class-sum';
import { cosineLogits } from '../../kernels/cosine-logits/cosine-logits';
import { gatherRows } from '../../kernels/gather-rows/gather-rows';
import { gemm } from '../../kernels/gemm/gemm';
import { l2Normalize } from '../../kernels/l2-normalize/l2-normalize';
import { nearestDistance } from '../../kernels/nearest-distance/nearest-distance';
import { reduce } from '../../kernels/reduce/reduce';
import { resizeBilinear } from '../../kernels/resize-bilinear/resize-bilinear';
import { softmax } from '../../kernels/softmax/softmax';
import { addAll } from '../../kernels/weighted-sum/weighted-sum';
import { Graph, type Tensor } from '../../runtime/graph';
import { type ClipConfig, gridFor } from '../clip-config';
import { type ClipGraphOptions, project } from '../clip-graph';
import { ABNORMAL, abnormalSum, segmentationMap } from '../heads';
import { stageBlocks } from '../mla-lp-graph';
import type { ReferenceBank, ReferenceGraph } from '../reference-bank';
import { embedImages, visionBlock } from '../vision-tower';

export interface AprilGanGraphOptions extends ClipGraphOptions {
  /** Evenly spaced depths whose tokens are used: 4, as published (blocks 6, 12, 18, 24 of ViT-L/14). */
  readonly stages: number;
}

/** Name of a stage's linear layer, as in the authors' checkpoints: weight [embed, width], bias [embed]. */
export function linearName(stage: number, part: 'weight' | 'bias'): string {
  return `trainable_linearlayer.fc.${stage}.${part}`;
}

/** What the stages' blocks give, [B, T, width] each, class token first. @param images f32 [B, 3, S, S]. */
export function stageTokens(g: Graph, images: Tensor, options: AprilGanGraphOptions): Tensor[] {
  const { config, stages } = options;
  const ends = stageBlocks(config.layers, stages);
  const tokens: Tensor[] = [];
  let x = g.scope('embed', () => embedImages(g, images, options));
  for (let block = 1; block <= config.layers; block++) {
    x = visionBlock(g, x, block - 1, options);
    if (ends.includes(block)) tokens.push(x);
  }
  return tokens;
}

/** A stage's linear layer (k F + b, eq. 1); [B, T, width] -> f32 [B, T, embed]. The layer itself is f32. */
export function linearLayer(
  g: Graph,
  tokens: Tensor,
  stage: number,
  { width, embed }: Pick<ClipConfig, 'width' | 'embed'>,
): Tensor {
  return gemm(g, tokens, g.weight(linearName(stage, 'weight'), 'f32', [embed, width]), {
    bias: g.weight(linearName(stage, 'bias'), 'f32', [embed]),
    out: 'f32',
  });
}

/** Class probabilities of one stage at image size (eq. 1): logits 100 cos, resized with aligned corners, then softmax. */
export function stageMap(
  g: Graph,
  tokens: Tensor,
  stage: number,
  text: Tensor,
  { config, imageSize }: Pick<AprilGanGraphOptions, 'config' | 'imageSize'>,
): Tensor {
  return segmentationMap(g, linearLayer(g, tokens, stage, config), text, imageSize, false);
}

/** P(abnormal) of the image (section 2.1): softmax of 100 cos of the class token's embedding; f32 [B]. */
function imageScore(g: Graph, last: Tensor, text: Tensor, options: AprilGanGraphOptions): Tensor {
  const { batch, config } = options;
  const rows = g.reshape(last, [batch * last.shape[1]!, config.width]);
  const embedding = project(g, gatherRows(g, rows, g.input('classes', 'u32', [batch])), options, 'f32');
  const logits = cosineLogits(g, g.reshape(embedding, [batch, 1, config.embed]), text, {
    scale: 100,
    skip: 0,
  });
  return g.reshape(classSum(g, [softmax(g, logits)], ABNORMAL), [batch]);
}

function tokensName(stage: number): string {
  return `tokens.${stage}`;
}

/** What few-shot APRIL-GAN keeps of a normal image: the patch tokens of each stage (section 2.3), as unit rows. */
export function aprilGanReferences(
  options: Omit<AprilGanGraphOptions, 'batch'>,
  normalise: boolean,
): ReferenceGraph {
  const { config, imageSize } = options;
  const g = new Graph();
  const images = g.input('images', 'f32', [1, 3, imageSize, imageSize]);
  const tokens = stageTokens(g, images, { ...options, batch: 1 });
  tokens.forEach((x, stage) => {
    g.output(tokensName(stage), l2Normalize(g, x));
  });
  const rows = gridFor(config, imageSize) ** 2;
  const features = tokens.map((_, stage) => ({ name: tokensName(stage), rows, skip: 1, cols: config.width }));
  return { graph: g, inputs: {}, features, imageSize, normalise };
}

/** Distances of one stage's patches to the nearest reference (eq. 3), 1 - cos, at image size; f32 [B, S, S]. */
function referenceMap(g: Graph, tokens: Tensor, tiles: readonly Tensor[], size: number): Tensor {
  const distances = nearestDistance(g, tokens, tiles, { skip: 1 });
  const [batch, patches] = distances.shape as readonly [number, number];
  const grid = Math.sqrt(patches);
  const field = g.reshape(distances, [batch, grid, grid, 1]);
  return g.reshape(resizeBilinear(g, field, size, size), [batch, size, size]);
}

/**
 * Inputs: images f32 [B, 3, S, S]; text f32 [2, embed], unit rows, normal first; classes u32 [B], the class tokens' rows b * T.
 * Outputs: score f32 [B], P(abnormal) of the image; map f32 [B, S, S], the sum over stages of P(abnormal) and, with references, of
 * the distances to them; level.i f32 [B, 2], each stage's mean class probabilities over pixels.
 */
export function aprilGanGraph(options: AprilGanGraphOptions, bank?: ReferenceBank): Graph {
  const { config, batch, imageSize } = options;
  const g = new Graph();
  const images = g.input('images', 'f32', [batch, 3, imageSize, imageSize]);
  const text = g.input('text', 'f32', [2, config.embed]);
  const tokens = stageTokens(g, images, options);
  const maps = tokens.map((x, stage) => g.scope(`stage${stage}`, () => stageMap(g, x, stage, text, options)));
  maps.forEach((map, stage) => {
    g.output(`level.${stage}`, reduce(g, g.reshape(map, [batch, imageSize * imageSize, 2]), 1, 'mean'));
  });
  const distances = tokens.flatMap((x, stage) =>
    bank ? [referenceMap(g, x, bank.tensors(g, tokensName(stage)), imageSize)] : [],
  );
  g.output('score', imageScore(g, tokens.at(-1)!, text, options));
  g.output('map', addAll(g, [abnormalSum(g, maps), ...distances]));
  return g;
}
