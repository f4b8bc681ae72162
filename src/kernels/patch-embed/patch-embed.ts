/**
 * The two ends of CLIP's patch embedding; between them a GEMM with conv1's weight seen as [D, 3 P P] is the convolution
 * (stride P, no bias).
 *
 * patchify: images f32 [B, 3, S, S] -> f32|f16 [B, G*G, 3 P P], G = floor(S / P):
 *   y[b, gy G + gx, (c P + py) P + px] = images[b, c, gy P + py, gx P + px]
 * Patches run row by row; an element's order is that of a conv weight [D, 3, P, P] flattened. The last S mod P rows and
 * columns of pixels are not seen, as in the convolution. S >= P.
 *
 * assemble_tokens: patches f32|f16 [B, P, D], class embedding f32 [D], position f32 [1 + P, D] -> like patches [B, 1 + P, D]:
 *   y[b, 0] = class + position[0],   y[b, 1 + p] = patches[b, p] + position[1 + p]
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { type Dtype, describe, sameShape, sizeOf, tensorType } from '../../runtime/tensor-type';
import assembleWgsl from './assemble_tokens.wgsl';
import patchifyWgsl from './patchify.wgsl';

export interface PatchifyAttrs {
  /** Side of a patch, px. */
  readonly patch: number;
  readonly dtype: Dtype;
}

export const patchifyOp: Op<PatchifyAttrs> = {
  name: 'patchify',

  infer([images], { patch, dtype }) {
    if (images?.dtype !== 'f32' || images.shape.length !== 4) {
      throw new ShapeError('patchify takes images f32 [B, 3, S, S].');
    }
    const [batch, channels, height, width] = images.shape as [number, number, number, number];
    if (channels !== 3 || height !== width) {
      throw new ShapeError(`patchify: images must be f32 [B, 3, S, S], not ${describe(images)}.`);
    }
    if (!Number.isSafeInteger(patch) || patch < 1 || dtype === 'u32') {
      throw new ShapeError(`patchify: a patch of ${patch} px stored as ${dtype} is impossible.`);
    }
    if (width < patch) {
      throw new ShapeError(
        `patchify: an image of ${width} px has no whole patch of ${patch} px.`,
        `Use an image size of at least ${patch}.`,
      );
    }
    return [tensorType(dtype, [batch, Math.floor(width / patch) ** 2, 3 * patch * patch])];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, outputs, attrs }, caps) {
        const side = inputs[0]!.shape[3]!;
        const count = sizeOf(outputs[0]!);
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'patchify', wgsl: patchifyWgsl },
              constants: { COUNT: count, S: side, P: attrs.patch, G: Math.floor(side / attrs.patch) },
              types: { T: attrs.dtype },
              bindings: { images: { input: 0 }, y: { output: 0 } },
              workgroups: foldGrid(Math.ceil(count / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: () => 0,
};

export const assembleTokensOp: Op<null> = {
  name: 'assemble_tokens',

  infer([patches, classEmbedding, position]) {
    if (!patches || !classEmbedding || !position || patches.shape.length !== 3 || patches.dtype === 'u32') {
      throw new ShapeError(
        'assemble_tokens takes patches [B, P, D], class embedding [D], position [1 + P, D].',
      );
    }
    const [batch, count, width] = patches.shape as [number, number, number];
    if (classEmbedding.dtype !== 'f32' || !sameShape(classEmbedding.shape, [width])) {
      throw new ShapeError(
        `assemble_tokens: the class embedding must be f32[${width}], not ${describe(classEmbedding)}.`,
      );
    }
    if (position.dtype !== 'f32' || !sameShape(position.shape, [1 + count, width])) {
      throw new ShapeError(
        `assemble_tokens: position embeddings must be f32[${1 + count},${width}], not ${describe(position)}.`,
      );
    }
    return [tensorType(patches.dtype, [batch, 1 + count, width])];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, outputs }, caps) {
        const [, P, D] = inputs[0]!.shape as [number, number, number];
        const count = sizeOf(outputs[0]!);
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'assemble_tokens', wgsl: assembleWgsl },
              constants: { COUNT: count, P, D },
              types: { T: inputs[0]!.dtype },
              bindings: {
                patches: { input: 0 },
                class_embedding: { input: 1 },
                position: { input: 2 },
                y: { output: 0 },
              },
              workgroups: foldGrid(Math.ceil(count / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: ({ outputs }) => sizeOf(outputs[0]!),
};

/** f32 [B, 3, S, S] -> `dtype` [B, G*G, 3 patch^2], G = floor(S / patch), elements in the order (channel, y, x). */
export function patchify(g: Graph, images: Tensor, patch: number, dtype: Dtype): Tensor {
  return g.apply(patchifyOp, [images], { patch, dtype })[0]!;
}

/** [B, P, D], f32 [D], f32 [1 + P, D] -> [B, 1 + P, D]: class token first, position embeddings added. */
export function assembleTokens(g: Graph, patches: Tensor, classEmbedding: Tensor, position: Tensor): Tensor {
  return g.apply(assembleTokensOp, [patches, classEmbedding, position], null)[0]!;
}
