/**
 * Input of the text tower: learned context vectors in places 1..M of each prompt, position embeddings added (CoOp, Zhou et
 * al. 2022, eq. 2, with class-specific context):
 *   y[p, t] = position[t] + (1 <= t <= M ? context[p, t - 1] : tokens[p, t])
 * Without context: y[p, t] = position[t] + tokens[p, t].
 *
 * Operands, in this order: tokens f32 [P, T, W], the embeddings of the token ids; position f32 [T, W]; context f32 [P, M, W]
 * if any, 1 + M <= T. Result: y f32|f16 [P, T, W].
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op, Operand } from '../../runtime/op';
import { type Dtype, describe, sameShape, sizeOf, tensorType } from '../../runtime/tensor-type';
import wgsl from './assemble_prompts.wgsl';

export interface AssemblePromptsAttrs {
  readonly dtype: Dtype;
}

export const assemblePromptsOp: Op<AssemblePromptsAttrs> = {
  name: 'assemble_prompts',

  infer([tokens, position, context], { dtype }) {
    if (tokens?.dtype !== 'f32' || tokens.shape.length !== 3 || !position || dtype === 'u32') {
      throw new ShapeError(
        'assemble_prompts takes tokens f32 [P, T, W], position f32 [T, W] and perhaps context f32 [P, M, W].',
      );
    }
    const [prompts, length, width] = tokens.shape as [number, number, number];
    if (position.dtype !== 'f32' || !sameShape(position.shape, [length, width])) {
      throw new ShapeError(
        `assemble_prompts: position embeddings must be f32[${length},${width}], not ${describe(position)}.`,
      );
    }
    if (context) {
      const m = context.shape[1] ?? 0;
      if (context.dtype !== 'f32' || !sameShape(context.shape, [prompts, m, width])) {
        throw new ShapeError(
          `assemble_prompts: context must be f32 [${prompts}, M, ${width}], not ${describe(context)}.`,
        );
      }
      if (1 + m > length) {
        throw new ShapeError(
          `assemble_prompts: ${m} context vectors after the start token do not fit ${length} places.`,
        );
      }
    }
    return [tensorType(dtype, tokens.shape)];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, attrs }, caps) {
        const [tokens, , context] = inputs;
        const [, L, W] = tokens!.shape as [number, number, number];
        const count = sizeOf(tokens!);
        const bindings: Record<string, Operand> = {
          tokens: { input: 0 },
          position: { input: 1 },
          y: { output: 0 },
        };
        if (context) bindings.context = { input: 2 };
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'assemble_prompts', wgsl },
              constants: { COUNT: count, L, W, M: context ? context.shape[1]! : 0 },
              types: { T: attrs.dtype },
              flags: context ? ['CONTEXT'] : [],
              bindings,
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

/** tokens f32 [P, T, W], context f32 [P, M, W] or none, position f32 [T, W] -> `dtype` [P, T, W]. */
export function assemblePrompts(
  g: Graph,
  tokens: Tensor,
  context: Tensor | undefined,
  position: Tensor,
  dtype: Dtype,
): Tensor {
  const operands = context ? [tokens, position, context] : [tokens, position];
  return g.apply(assemblePromptsOp, operands, { dtype })[0]!;
}
