/** CLIP's image tower up to its blocks; names as in OpenAI's checkpoints. */

import type { ActivationKind } from '../kernels/activation/activation';
import { gemm } from '../kernels/gemm/gemm';
import { assembleTokens, patchify } from '../kernels/patch-embed/patch-embed';
import type { Graph, Tensor } from '../runtime/graph';
import type { Dtype } from '../runtime/tensor-type';
import { type ClipConfig, gridFor } from './clip-config';
import { namedLayerNorm, transformerBlock } from './transformer';
import { positionEmbeddingName } from './weight-names';

export interface TowerOptions {
  readonly config: ClipConfig;
  readonly activation: ActivationKind;
  readonly dtype: Dtype;
  /** Blocks keep what backward needs. */
  readonly training?: boolean;
}

/**
 * Patches to tokens: convolution without bias, class token, position embeddings, ln_pre.
 * Pixels beyond the last whole patch are not seen.
 * @param images f32 [B, 3, S, S] in 0..1. @returns [B, 1 + G*G, width], G = floor(S / patch).
 */
export function embedImages(g: Graph, images: Tensor, { config, dtype }: TowerOptions): Tensor {
  const { width, patch } = config;
  const grid = gridFor(config, images.shape[2]!);
  const kernel = g.weight('visual.conv1.weight', dtype, [width, 3 * patch * patch]);
  const patches = gemm(g, patchify(g, images, patch, dtype), kernel);
  const tokens = assembleTokens(
    g,
    patches,
    g.weight('visual.class_embedding', 'f32', [width]),
    g.weight(positionEmbeddingName(grid), 'f32', [1 + grid * grid, width]),
  );
  return namedLayerNorm(g, tokens, 'visual.ln_pre');
}

/** Block `index` (from 0) of the image tower; [B, T, width] -> the same. */
export function visionBlock(g: Graph, x: Tensor, index: number, options: TowerOptions): Tensor {
  const { config, activation, dtype, training = false } = options;
  return g.scope(`block${index}`, () =>
    transformerBlock(g, x, `visual.transformer.resblocks.${index}.`, {
      width: config.width,
      heads: config.heads,
      mlp: config.mlp,
      activation,
      causal: false,
      dtype,
      training,
    }),
  );
}
