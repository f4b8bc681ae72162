/**
 * Input of the text tower: learned context vectors in places 1..M of each prompt, position embeddings added (CoOp, Zhou et
 * al. 2022, eq. 2, with class-specific context):
 *   y[p, t] = position[t] + (1 <= t <= M ? context[p, t - 1] : tokens[p, t])
 * Without context: y[p, t] = position[t] + tokens[p, t].
 *
 * Operands, in this order: tokens f32 [P, T, W], the embeddings of the token ids; position f32 [T, W]; then no context, or one
 * or two f32 [P_i, M, W], 1 + M <= T, the sum of P_i being P: the prompts of the second follow those of the first. Result:
 * y f32|f16 [P, T, W].
 */
import { foldGrid } from '../../runtime/capabilities';
import { MlaLpError, ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op, Operand } from '../../runtime/op';
import { type Dtype, describe, sameShape, sizeOf, tensorType } from '../../runtime/tensor-type';
import wgsl from './assemble_prompts.wgsl';
import { assemblePromptsBackward } from './assemble-prompts-backward';

export interface AssemblePromptsAttrs {
  readonly dtype: Dtype;
}

export const assemblePromptsOp: Op<AssemblePromptsAttrs> = {
  name: 'assemble_prompts',

  infer([tokens, position, ...contexts], { dtype }) {
    if (tokens?.dtype !== 'f32' || tokens.shape.length !== 3 || !position || dtype === 'u32') {
      throw new ShapeError(
        'assemble_prompts takes tokens f32 [P, T, W], position f32 [T, W] and perhaps contexts f32 [P_i, M, W].',
      );
    }
    const [prompts, length, width] = tokens.shape as [number, number, number];
    if (position.dtype !== 'f32' || !sameShape(position.shape, [length, width])) {
      throw new ShapeError(
        `assemble_prompts: position embeddings must be f32[${length},${width}], not ${describe(position)}.`,
      );
    }
    if (contexts.length > 2) {
      throw new ShapeError(`assemble_prompts takes up to two contexts, not ${contexts.length}.`);
    }
    const m = contexts[0]?.shape[1] ?? 0;
    for (const context of contexts) {
      if (context.dtype !== 'f32' || !sameShape(context.shape, [context.shape[0] ?? 0, m, width])) {
        throw new ShapeError(
          `assemble_prompts: contexts must be f32 [P_i, M, ${width}] of one M, not ${describe(context)}.`,
        );
      }
    }
    const covered = contexts.reduce((sum, { shape }) => sum + shape[0]!, 0);
    if (contexts.length > 0 && covered !== prompts) {
      throw new ShapeError(
        `assemble_prompts: contexts ${contexts.map(describe).join(' and ')} are for ${covered} prompts, not ${prompts}.`,
      );
    }
    if (1 + m > length) {
      throw new ShapeError(
        `assemble_prompts: ${m} context vectors after the start token do not fit ${length} places.`,
      );
    }
    return [tensorType(dtype, tokens.shape)];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, attrs }, caps) {
        const [tokens, , context, rest] = inputs;
        const [, L, W] = tokens!.shape as [number, number, number];
        const [SPLIT, M] = (context?.shape ?? [0, 0]) as [number, number];
        const count = sizeOf(tokens!);
        const bindings: Record<string, Operand> = {
          tokens: { input: 0 },
          position: { input: 1 },
          y: { output: 0 },
        };
        if (context) bindings.context = { input: 2 };
        if (rest) bindings.context_rest = { input: 3 };
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'assemble_prompts', wgsl },
              constants: { COUNT: count, L, W, M, SPLIT },
              types: { T: attrs.dtype },
              flags: [...(context ? ['CONTEXT'] : []), ...(rest ? ['REST'] : [])],
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

  // A context vector stands in one place of one prompt, added to its position: it gets that place's dy.
  backward({ graph, inputTypes, outputGradients: [dy], needed }) {
    if (needed[0] || needed[1]) {
      throw new MlaLpError(
        'bad-value',
        'Token and position embeddings (assemble_prompts) have no backward.',
        'Train only tensors that are adapters or prompts.',
      );
    }
    let next = 0;
    const contexts = inputTypes.slice(2).map(({ shape }, i) => {
      const [count, vectors] = shape as [number, number, number];
      const first = next;
      next += count;
      return needed[2 + i] ? assemblePromptsBackward(graph, dy!, { first, count, vectors }) : undefined;
    });
    return [undefined, undefined, ...contexts];
  },
};

/** tokens f32 [P, T, W], up to two contexts f32 [P_i, M, W], position f32 [T, W] -> `dtype` [P, T, W]. */
export function assemblePrompts(
  g: Graph,
  tokens: Tensor,
  contexts: readonly Tensor[],
  position: Tensor,
  dtype: Dtype,
): Tensor {
  return g.apply(assemblePromptsOp, [tokens, position, ...contexts], { dtype })[0]!;
}
