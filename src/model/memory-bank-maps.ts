/** From features to few-shot maps (paper, section 3.4): distances to a bank's tiles, resized and summed. */
import { nearestDistance } from '../kernels/nearest-distance/nearest-distance';
import { reduce } from '../kernels/reduce/reduce';
import { resizeBilinear } from '../kernels/resize-bilinear/resize-bilinear';
import { addAll } from '../kernels/weighted-sum/weighted-sum';
import type { Graph, Tensor } from '../runtime/graph';
import type { Dtype } from '../runtime/tensor-type';
import type { Head } from './memory-bank-tensors';

/** How a bank lies on the device: each tensor in tiles of one size. */
export interface BankLayout {
  readonly dtype: Dtype;
  /** Tiles a tensor. */
  readonly tiles: number;
  /** Rows a tile. */
  readonly tileRows: number;
}

/** Name of a tile in the bank's store. */
export function tileName(head: Head, stage: number, tile: number): string {
  return `memory_bank.${head}.${stage}.tile${tile}`;
}

/** Distances f32 [B, P] of the patches of features [B, 1 + P, C] to a bank's tensor. */
export function bankDistances(
  g: Graph,
  features: Tensor,
  head: Head,
  stage: number,
  { dtype, tiles, tileRows }: BankLayout,
): Tensor {
  const shape = [tileRows, features.shape.at(-1)!];
  const all = Array.from({ length: tiles }, (_, tile) => g.weight(tileName(head, stage, tile), dtype, shape));
  return nearestDistance(g, features, all, { skip: 1 });
}

export type Distances = Readonly<Record<Head, readonly Tensor[]>>;

/**
 * Outputs memory.map f32 [B, S, S], the segmentation head's distances as a map, and memory.det f32 [B], the mean of the
 * detection head's. The stages' maps are summed before they are resized: both are linear.
 * @param distances per head and stage f32 [B, P].
 */
export function memoryOutputs(g: Graph, distances: Distances, size: number): void {
  const [batch, patches] = distances.seg[0]!.shape as [number, number];
  const grid = Math.sqrt(patches);
  const map = (head: Head) => {
    const sum = g.reshape(addAll(g, [...distances[head]]), [batch, grid, grid, 1]);
    return g.reshape(resizeBilinear(g, sum, size, size), [batch, size * size]);
  };
  g.output('memory.map', g.reshape(map('seg'), [batch, size, size]));
  g.output('memory.det', reduce(g, map('det'), 1, 'mean'));
}
