/** MLA-LP's image side as one graph: image tower, adapters at the stages, heads (paper, section 3.2-3.3). */
import { gemm } from '../kernels/gemm/gemm';
import { weightedSum } from '../kernels/weighted-sum/weighted-sum';
import { ShapeError } from '../runtime/errors';
import { Graph, type Tensor } from '../runtime/graph';
import { abnormalSum, detectionScore, segmentationMap } from './heads';
import type { Preset } from './presets';
import { embedImages, type TowerOptions, visionBlock } from './vision-tower';

/** Shares of eq. 4: the input's, the segmentation adapter's, the detection adapter's. */
export const MIX = { gamma: 0.8, alpha: 0.1, beta: 0.1 } as const;

/**
 * Blocks (counted from 1) after which adapters sit: layers * i / stages.
 * @throws ShapeError when the layers do not divide.
 */
export function stageBlocks(layers: number, stages: number): number[] {
  if (stages < 1 || layers % stages !== 0) {
    throw new ShapeError(`${layers} blocks cannot carry ${stages} evenly spaced adapters.`);
  }
  return Array.from({ length: stages }, (_, i) => (layers * (i + 1)) / stages);
}

export interface MlaLpGraphOptions extends TowerOptions {
  readonly preset: Preset;
  readonly batch: number;
  /** Side the model runs at, px. */
  readonly imageSize: number;
  readonly stages: number;
  /** Also output per stage the bottleneck features seg.i and det.i [B, T, C] and the map stage.i [B, S, S, 2]. */
  readonly inspect?: boolean;
}

interface AdapterPair {
  readonly seg: Tensor;
  readonly det: Tensor;
}

const LEAKY = { activation: 'leaky_relu' } as const;

/** mid = LeakyReLU(x W1^T) of both heads: the features that the heads compare with text. */
function bottlenecks(g: Graph, x: Tensor, stage: number, { config, dtype }: TowerOptions): AdapterPair {
  const mid = (head: 'seg' | 'det') =>
    gemm(
      g,
      x,
      g.weight(`${head}_adapters.${stage}.fc1.0.weight`, dtype, [config.embed, config.width]),
      LEAKY,
    );
  return { seg: mid('seg'), det: mid('det') };
}

/** out = LeakyReLU(mid W2^T) of both heads, mixed into the stream (eq. 4). */
function mixBack(
  g: Graph,
  x: Tensor,
  mids: AdapterPair,
  stage: number,
  { config, dtype }: TowerOptions,
): Tensor {
  const out = (head: 'seg' | 'det') =>
    gemm(
      g,
      mids[head],
      g.weight(`${head}_adapters.${stage}.fc2.0.weight`, dtype, [config.width, config.embed]),
      LEAKY,
    );
  return weightedSum(g, [x, out('seg'), out('det')], [MIX.gamma, MIX.alpha, MIX.beta]);
}

/**
 * Inputs: images f32 [B, 3, S, S] in 0..1; text f32 [2, C], unit rows, normal first.
 * Outputs: level.i f32 [B, 2] per stage (mean class probabilities); map f32 [B, S, S], the sum over stages of P(abnormal).
 * The last stage's second matrices feed nothing and are not built.
 */
export function mlaLpGraph(options: MlaLpGraphOptions): Graph {
  const { config, preset, batch, imageSize, stages, inspect = false } = options;
  const g = new Graph();
  const images = g.input('images', 'f32', [batch, 3, imageSize, imageSize]);
  const text = g.input('text', 'f32', [2, config.embed]);
  const ends = stageBlocks(config.layers, stages);
  const maps: Tensor[] = [];
  let x = g.scope('embed', () => embedImages(g, images, options));
  for (let block = 1; block <= config.layers; block++) {
    x = visionBlock(g, x, block - 1, options);
    const stage = ends.indexOf(block);
    if (stage < 0) continue;
    g.scope(`stage${stage}`, () => {
      const mids = bottlenecks(g, x, stage, options);
      g.output(`level.${stage}`, detectionScore(g, mids.det, text));
      const map = segmentationMap(g, mids.seg, text, imageSize, preset.softmaxBeforeResize);
      maps.push(map);
      if (stage < stages - 1) x = mixBack(g, x, mids, stage, options);
      if (inspect) {
        g.output(`seg.${stage}`, mids.seg);
        g.output(`det.${stage}`, mids.det);
        g.output(`stage.${stage}`, map);
      }
    });
  }
  g.output('map', abnormalSum(g, maps));
  return g;
}
