/** From adapter features and text columns to scores and maps (paper, eq. 5-10). */
import { classMap } from '../kernels/class-map/class-map';
import { classSum } from '../kernels/class-sum/class-sum';
import { cosineLogits } from '../kernels/cosine-logits/cosine-logits';
import { reduce } from '../kernels/reduce/reduce';
import { resizeBilinear } from '../kernels/resize-bilinear/resize-bilinear';
import { softmax } from '../kernels/softmax/softmax';
import type { Graph, Tensor } from '../runtime/graph';

/** Class order of text columns and of every probability. */
export const ABNORMAL = 1;

/** Cosine times 100 of every patch token with every text column; [B, 1 + P, C] x f32 [2, C] -> f32 [B, P, 2]. */
export function patchLogits(g: Graph, features: Tensor, text: Tensor): Tensor {
  return cosineLogits(g, features, text, { scale: 100, skip: 1 });
}

/** Detection at one stage: mean over patches of the class probabilities; -> f32 [B, 2]. */
export function detectionScore(g: Graph, features: Tensor, text: Tensor): Tensor {
  return reduce(g, softmax(g, patchLogits(g, features, text)), 1, 'mean');
}

/** The same of logits as `patchLogits` gives them, in one step and without gradient; f32 [B, P, 2] -> f32 [B, 2]. */
export function meanProbabilities(g: Graph, logits: Tensor): Tensor {
  return reduce(g, logits, 1, 'softmax_mean');
}

/**
 * Segmentation at one stage: class probabilities at image size, bilinear with aligned corners; -> f32 [B, S, S, 2].
 * @param softmaxBeforeResize the paper's order (eq. 9-10); else logits are resized, as the authors' code does.
 */
export function segmentationMap(
  g: Graph,
  features: Tensor,
  text: Tensor,
  size: number,
  softmaxBeforeResize: boolean,
): Tensor {
  const logits = patchLogits(g, features, text);
  return softmaxBeforeResize
    ? resizeBilinear(g, field(g, softmax(g, logits)), size, size)
    : softmax(g, resizeBilinear(g, field(g, logits), size, size));
}

/** Patches as a square: [B, P, 2] -> [B, G, G, 2]. */
function field(g: Graph, patches: Tensor): Tensor {
  const [batch, count] = patches.shape as readonly [number, number, number];
  const grid = Math.sqrt(count);
  return g.reshape(patches, [batch, grid, grid, 2]);
}

/**
 * Sum over stages of P(abnormal) at image size, in one step: what `abnormalSum` gives of `segmentationMap`s that nobody needs by
 * themselves. @param logits of each stage, as `patchLogits` gives them. @returns f32 [B, S, S].
 */
export function abnormalMap(
  g: Graph,
  logits: readonly Tensor[],
  size: number,
  softmaxBeforeResize: boolean,
): Tensor {
  const fields = logits.map((t) => field(g, t));
  return classMap(g, fields, {
    index: ABNORMAL,
    height: size,
    width: size,
    softmaxFirst: softmaxBeforeResize,
  });
}

/** Sum over stages of P(abnormal); f32 [B, S, S, 2] each -> f32 [B, S, S]. */
export function abnormalSum(g: Graph, maps: readonly Tensor[]): Tensor {
  return classSum(g, [...maps], ABNORMAL);
}
