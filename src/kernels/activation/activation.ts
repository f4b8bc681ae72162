/**
 * Elementwise activation, y = f(x):
 *   gelu        x * Phi(x), exact (erf)              quick_gelu  x / (1 + exp(-1.702 x))
 *   leaky_relu  x > 0 ? x : 0.01 x
 *
 * Operand: x f32|f16 of any shape. Result: y like x, computed in f32. The functions' WGSL is `activations.wgsl`, which GEMM's
 * epilogue includes too.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { describe, sizeOf } from '../../runtime/tensor-type';
import wgsl from './activation.wgsl';
import activationsWgsl from './activations.wgsl';

export type ActivationKind = 'gelu' | 'quick_gelu' | 'leaky_relu';

/** `KernelSource.includes` of kernels that say `// @include activations`. */
export const ACTIVATION_INCLUDES = { activations: activationsWgsl } as const;

export interface ActivationAttrs {
  readonly kind: ActivationKind;
}

export const activationOp: Op<ActivationAttrs> = {
  name: 'activation',

  infer([x]) {
    if (!x || x.dtype === 'u32') {
      throw new ShapeError(`activation takes x f32 or f16, not ${x ? describe(x) : 'nothing'}.`);
    }
    return [x];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, attrs }, caps) {
        const count = sizeOf(inputs[0]!);
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'activation', wgsl, includes: ACTIVATION_INCLUDES },
              constants: { COUNT: count },
              types: { T: inputs[0]!.dtype },
              flags: [attrs.kind.toUpperCase()],
              bindings: { x: { input: 0 }, y: { output: 0 } },
              workgroups: foldGrid(Math.ceil(count / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: ({ inputs, attrs }) => sizeOf(inputs[0]!) * { gelu: 25, quick_gelu: 5, leaky_relu: 1 }[attrs.kind],
};

/** y = f(x), elementwise, any shape. */
export function activation(g: Graph, x: Tensor, kind: ActivationKind): Tensor {
  return g.apply(activationOp, [x], { kind })[0]!;
}
