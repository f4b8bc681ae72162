/** Graphs of few-shot scoring beside the model's own: features of normal images, one tile's search, maps of distances. */
import { nearestDistance } from '../kernels/nearest-distance/nearest-distance';
import { warp } from '../kernels/warp/warp';
import { Graph } from '../runtime/graph';
import { tokensOf } from './clip-config';
import { type BankLayout, memoryOutputs } from './memory-bank-maps';
import { HEADS, type Head } from './memory-bank-tensors';
import { type AdapterOptions, adaptedBlocks } from './mla-lp-graph';
import { embedImages } from './vision-tower';

export interface BankGraphOptions extends AdapterOptions {
  readonly batch: number;
  /** Side the model runs at, px. */
  readonly imageSize: number;
}

/**
 * What a bank keeps of normal images. Inputs: images f32 [B, 3, S, S] in 0..1, transforms f32 [B, 6] (`warp`). Outputs
 * <head>.<stage> [B, T, embed], class tokens included.
 */
export function bankFeaturesGraph(options: BankGraphOptions): Graph {
  const { batch, imageSize } = options;
  const g = new Graph();
  const images = g.input('images', 'f32', [batch, 3, imageSize, imageSize]);
  const seen = warp(g, images, g.input('transforms', 'f32', [batch, 6]));
  const x = g.scope('embed', () => embedImages(g, seen, options));
  adaptedBlocks(g, x, 0, options, (stage, mids) => {
    for (const head of HEADS) g.output(`${head}.${stage}`, mids[head]);
  });
  return g;
}

/** One tile's turn: features [B, 1 + P, embed] and prev f32 [B, P] in, distances f32 [B, P] out; the weight `tile`. */
export function tileSearchGraph(options: BankGraphOptions, { dtype, tileRows }: BankLayout): Graph {
  const { config, batch } = options;
  const patches = tokensOf(options) - 1;
  const g = new Graph();
  const features = g.input('features', options.dtype, [batch, 1 + patches, config.embed]);
  const prev = g.input('prev', 'f32', [batch, patches]);
  const tile = g.weight('tile', dtype, [tileRows, config.embed]);
  g.output('distances', nearestDistance(g, features, [tile], { skip: 1, prev }));
  return g;
}

/** Inputs <head>.<stage> f32 [B, P], distances; outputs as `memoryOutputs`. */
export function memoryMapsGraph(options: BankGraphOptions): Graph {
  const { batch, imageSize, stages } = options;
  const patches = tokensOf(options) - 1;
  const g = new Graph();
  const of = (head: Head) =>
    Array.from({ length: stages }, (_, stage) => g.input(`${head}.${stage}`, 'f32', [batch, patches]));
  memoryOutputs(g, { seg: of('seg'), det: of('det') }, imageSize);
  return g;
}
