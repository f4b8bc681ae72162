/**
 * Elementwise activation, y = f(x):
 *   gelu        x * Phi(x), exact (erf)              quick_gelu  x / (1 + exp(-1.702 x))
 *   leaky_relu  x > 0 ? x : 0.01 x
 *
 * Operand: x f32|f16 of any shape. Result: y like x, computed in f32. The functions' WGSL is `activations.wgsl`, which GEMM's
 * epilogue includes too.
 *
 * And its gradient, dx = f'(z) dy (`activation_backward`): operands dy and z f32|f16 of one type; result: dx like them. The
 * derivatives' WGSL is `activation_gradients.wgsl`.
 */
import { type Capabilities, foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { KernelSource, Lowering, Op, OpCall, Operand } from '../../runtime/op';
import { describe, sizeOf } from '../../runtime/tensor-type';
import wgsl from './activation.wgsl';
import backwardWgsl from './activation_backward.wgsl';
import gradientsWgsl from './activation_gradients.wgsl';
import activationsWgsl from './activations.wgsl';

export type ActivationKind = 'gelu' | 'quick_gelu' | 'leaky_relu';

/** `KernelSource.includes` of kernels that say `// @include activations`. */
export const ACTIVATION_INCLUDES = { activations: activationsWgsl } as const;

export interface ActivationAttrs {
  readonly kind: ActivationKind;
}

function elementwise(
  { inputs, attrs }: OpCall<ActivationAttrs>,
  caps: Capabilities,
  kernel: KernelSource,
  bindings: Record<string, Operand>,
): Lowering {
  const count = sizeOf(inputs[0]!);
  return {
    variant: 'plain',
    dispatches: [
      {
        kernel,
        constants: { COUNT: count },
        types: { T: inputs[0]!.dtype },
        flags: [attrs.kind.toUpperCase()],
        bindings,
        workgroups: foldGrid(Math.ceil(count / 64), caps),
      },
    ],
  };
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
      lower: (call, caps) =>
        elementwise(
          call,
          caps,
          { name: 'activation', wgsl, includes: ACTIVATION_INCLUDES },
          { x: { input: 0 }, y: { output: 0 } },
        ),
    },
  ],

  choose: () => 'plain',

  flops: ({ inputs, attrs }) => sizeOf(inputs[0]!) * { gelu: 25, quick_gelu: 5, leaky_relu: 1 }[attrs.kind],

  // dL/dx = f'(x) dL/dy; leaky_relu's slope shows in y too, which may be at hand already.
  backward: ({ graph, attrs: { kind }, input, output, outputGradients: [dy], needed }) => [
    needed[0]
      ? activationBackward(graph, dy!, kind === 'leaky_relu' ? output(0) : input(0), kind)
      : undefined,
  ],
};

export const activationBackwardOp: Op<ActivationAttrs> = {
  name: 'activation_backward',

  infer([dy, z]) {
    if (!dy || !z || dy.dtype === 'u32' || describe(dy) !== describe(z)) {
      throw new ShapeError('activation_backward takes dy and z of one type, f32 or f16.');
    }
    return [dy];
  },

  variants: [
    {
      name: 'plain',
      lower: (call, caps) =>
        elementwise(
          call,
          caps,
          {
            name: 'activation_backward',
            wgsl: backwardWgsl,
            includes: { ...ACTIVATION_INCLUDES, activation_gradients: gradientsWgsl },
          },
          { dy: { input: 0 }, z: { input: 1 }, dx: { output: 0 } },
        ),
    },
  ],

  choose: () => 'plain',

  flops: ({ inputs, attrs }) => sizeOf(inputs[0]!) * { gelu: 27, quick_gelu: 9, leaky_relu: 2 }[attrs.kind],
};

/** y = f(x), elementwise, any shape. */
export function activation(g: Graph, x: Tensor, kind: ActivationKind): Tensor {
  return g.apply(activationOp, [x], { kind })[0]!;
}

/** dx = f'(z) dy, elementwise. For leaky_relu, which asks only for the sign, z may be y = f(z). */
export function activationBackward(g: Graph, dy: Tensor, z: Tensor, kind: ActivationKind): Tensor {
  return g.apply(activationBackwardOp, [dy, z], { kind })[0]!;
}
