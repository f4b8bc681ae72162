/**
 * Gradient of learned context vectors by the text tower's input: dcontext[q, m] = dy[first + q, 1 + m].
 *
 * Operand: dy f32|f16 [P, T, W]. Result: dcontext f32 [count, vectors, W], first + count <= P, 1 + vectors <= T.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { describe, sizeOf, tensorType } from '../../runtime/tensor-type';
import wgsl from './assemble_prompts_backward.wgsl';

export interface AssemblePromptsBackwardAttrs {
  /** The context's first prompt. */
  readonly first: number;
  /** How many prompts it has. */
  readonly count: number;
  /** Context vectors of a prompt. */
  readonly vectors: number;
}

export const assemblePromptsBackwardOp: Op<AssemblePromptsBackwardAttrs> = {
  name: 'assemble_prompts_backward',

  infer([dy], { first, count, vectors }) {
    if (!dy || dy.dtype === 'u32' || dy.shape.length !== 3) {
      throw new ShapeError(
        `assemble_prompts_backward takes dy f32 or f16 [P, T, W], not ${dy ? describe(dy) : 'nothing'}.`,
      );
    }
    const [prompts, length, width] = dy.shape as [number, number, number];
    if (!Number.isSafeInteger(first) || first < 0 || first + count > prompts || 1 + vectors > length) {
      throw new ShapeError(
        `assemble_prompts_backward: ${describe(dy)} has no ${vectors} context vectors for ${count} prompts from ${first} on.`,
      );
    }
    return [tensorType('f32', [count, vectors, width])];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, outputs, attrs }, caps) {
        const [, L, W] = inputs[0]!.shape as [number, number, number];
        const count = sizeOf(outputs[0]!);
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'assemble_prompts_backward', wgsl },
              constants: { COUNT: count, L, W, M: attrs.vectors, FIRST: attrs.first },
              types: { T: inputs[0]!.dtype },
              bindings: { dy: { input: 0 }, d_context: { output: 0 } },
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

/** dL/d(context) f32 [count, vectors, W] from dL/dy [P, T, W]. */
export function assemblePromptsBackward(g: Graph, dy: Tensor, attrs: AssemblePromptsBackwardAttrs): Tensor {
  return g.apply(assemblePromptsBackwardOp, [dy], attrs)[0]!;
}
