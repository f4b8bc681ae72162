/** MLA-LP's image side as one graph: image tower, adapters at the stages, heads (paper, section 3.2-3.3). */
import { gemm, gemmHalves } from '../kernels/gemm/gemm';
import { weightedSum } from '../kernels/weighted-sum/weighted-sum';
import { ShapeError } from '../runtime/errors';
import { Graph, type Tensor } from '../runtime/graph';
import type { Dtype } from '../runtime/tensor-type';
import { abnormalMap, meanProbabilities, patchLogits, segmentationMap } from './heads';
import { type BankLayout, bankDistances, memoryOutputs } from './memory-bank-maps';
import type { Head } from './memory-bank-tensors';
import type { Preset } from './presets';
import { embedImages, type TowerOptions, visionBlock } from './vision-tower';
import { jointName } from './weight-names';

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

export interface MlaLpGraphOptions extends AdapterOptions {
  readonly preset: Preset;
  readonly batch: number;
  /** Side the model runs at, px. */
  readonly imageSize: number;
  /** Also output per stage the bottleneck features seg.i and det.i [B, T, C]. */
  readonly features?: boolean;
  /** Also output what `features` does and per stage the map stage.i [B, S, S, 2]. */
  readonly inspect?: boolean;
  /**
   * Distances to a memory bank that lies in the store: memory.map f32 [B, S, S], the segmentation head's, summed over stages,
   * and memory.det f32 [B], the mean over pixels of the detection head's.
   */
  readonly bank?: BankLayout;
}

/** Bottleneck features [B, T, embed] of one stage. */
export interface StageFeatures {
  readonly seg: Tensor;
  readonly det: Tensor;
}

export interface AdapterOptions extends TowerOptions {
  readonly stages: number;
  /** Storage type of the adapters; that of the tower without it. Training keeps them f32. */
  readonly adapterDtype?: Dtype;
  /** The heads' first matrices are weights of their own, as they are trained, also where nothing is trained. */
  readonly apart?: boolean;
}

const LEAKY = { activation: 'leaky_relu' } as const;

const weightName = (head: Head, stage: number, layer: 'fc1' | 'fc2') =>
  `${head}_adapters.${stage}.${layer}.0.weight`;

/** A matrix of an adapter: `fc1` [embed, width], `fc2` [width, embed]. */
function adapterWeight(
  g: Graph,
  head: Head,
  stage: number,
  layer: 'fc1' | 'fc2',
  { config, dtype, adapterDtype = dtype }: AdapterOptions,
): Tensor {
  const shape = layer === 'fc1' ? [config.embed, config.width] : [config.width, config.embed];
  return g.weight(weightName(head, stage, layer), adapterDtype, shape);
}

/**
 * mid = LeakyReLU(x W1^T) of both heads: the features that the heads compare with text. One product with both matrices, unless they
 * are trained.
 */
function bottlenecks(g: Graph, x: Tensor, stage: number, options: AdapterOptions): StageFeatures {
  const { config, dtype, adapterDtype = dtype, training, apart = training } = options;
  if (apart) {
    const mid = (head: Head) => gemm(g, x, adapterWeight(g, head, stage, 'fc1', options), LEAKY);
    return { seg: mid('seg'), det: mid('det') };
  }
  const both = jointName(weightName('seg', stage, 'fc1'), weightName('det', stage, 'fc1'));
  const weight = g.weight(both, adapterDtype, [2 * config.embed, config.width]);
  const [seg, det] = gemmHalves(g, x, weight, LEAKY);
  return { seg, det };
}

/**
 * out = LeakyReLU(mid W2^T) of both heads, mixed into the stream (eq. 4) as they are computed. Training keeps them apart: their own
 * signs tell the slope of LeakyReLU, and a sum does not.
 */
function mixBack(g: Graph, x: Tensor, mids: StageFeatures, stage: number, options: AdapterOptions): Tensor {
  const { gamma, alpha, beta } = MIX;
  const weight = (head: Head) => adapterWeight(g, head, stage, 'fc2', options);
  if (options.training) {
    const out = (head: Head) => gemm(g, mids[head], weight(head), LEAKY);
    return weightedSum(g, [x, out('seg'), out('det')], [gamma, alpha, beta]);
  }
  const half = gemm(g, mids.seg, weight('seg'), { ...LEAKY, residual: x, mix: [alpha, gamma] });
  return gemm(g, mids.det, weight('det'), { ...LEAKY, residual: half, mix: [beta, 1] });
}

/**
 * The image tower's blocks with adapters at the stages. The last stage's second matrices feed nothing and are not built.
 * @param x [B, T, width]: what block `start` (counted from 1; 0: the embedding) gave.
 * @param visit takes each stage's features, in the stage's scope.
 */
export function adaptedBlocks(
  g: Graph,
  x: Tensor,
  start: number,
  options: AdapterOptions,
  visit: (stage: number, features: StageFeatures) => void,
): void {
  const { config, stages } = options;
  const ends = stageBlocks(config.layers, stages);
  let stream = x;
  for (let block = start; block <= config.layers; block++) {
    if (block > start) stream = visionBlock(g, stream, block - 1, options);
    const stage = ends.indexOf(block);
    if (stage < 0) continue;
    g.scope(`stage${stage}`, () => {
      const features = bottlenecks(g, stream, stage, options);
      visit(stage, features);
      if (stage < stages - 1) stream = mixBack(g, stream, features, stage, options);
    });
  }
}

/**
 * Inputs: images f32 [B, 3, S, S] in 0..1; text f32 [2, C], unit rows, normal first.
 * Outputs: level.i f32 [B, 2] per stage (mean class probabilities); map f32 [B, S, S], the sum over stages of P(abnormal).
 */
export function mlaLpGraph(options: MlaLpGraphOptions): Graph {
  const { config, preset, batch, imageSize, inspect = false, features = inspect, bank } = options;
  const g = new Graph();
  const images = g.input('images', 'f32', [batch, 3, imageSize, imageSize]);
  const text = g.input('text', 'f32', [2, config.embed]);
  const logits: Tensor[] = [];
  const softmaxFirst = preset.softmaxBeforeResize;
  const distances = { seg: [] as Tensor[], det: [] as Tensor[] };
  const x = g.scope('embed', () => embedImages(g, images, options));
  adaptedBlocks(g, x, 0, options, (stage, { seg, det }) => {
    g.output(`level.${stage}`, meanProbabilities(g, patchLogits(g, det, text)));
    logits.push(patchLogits(g, seg, text));
    if (bank) {
      distances.seg.push(bankDistances(g, seg, 'seg', stage, bank));
      distances.det.push(bankDistances(g, det, 'det', stage, bank));
    }
    if (features) {
      g.output(`seg.${stage}`, seg);
      g.output(`det.${stage}`, det);
    }
    if (inspect) g.output(`stage.${stage}`, segmentationMap(g, seg, text, imageSize, softmaxFirst));
  });
  g.output('map', abnormalMap(g, logits, imageSize, softmaxFirst));
  if (bank) memoryOutputs(g, distances, imageSize);
  return g;
}
