import { type Dtype, tensorType } from '../../runtime/tensor-type';
import type { KernelCase, OpSuite } from '../suite';
import { type ActivationAttrs, type ActivationKind, activationBackwardOp, activationOp } from './activation';
import { activationBackwardReference, activationOpReference } from './reference';

/** Evenly over [-10, 10): both tails and the middle. */
const spread = (length: number) => Float64Array.from({ length }, (_, i) => (20 * (i + 0.25)) / length - 10);

function activationCase(
  kind: ActivationKind,
  dtype: Dtype,
  shape: number[],
  bench = false,
): KernelCase<ActivationAttrs> {
  return {
    name: `${kind} ${dtype} [${shape}]`,
    inputs: [tensorType(dtype, shape)],
    attrs: { kind },
    fill: (_index, length) => spread(length),
    bench,
  };
}

function backwardCase(
  kind: ActivationKind,
  dtype: Dtype,
  shape: number[],
  bench = false,
): KernelCase<ActivationAttrs> {
  const type = tensorType(dtype, shape);
  return {
    name: `${kind} ${dtype} [${shape}]`,
    inputs: [type, type],
    attrs: { kind },
    fill: (index, length) => (index === 1 ? spread(length) : undefined),
    bench,
  };
}

export const activationSuite: OpSuite<ActivationAttrs> = {
  op: activationOp,
  reference: activationOpReference,
  differentiable: [0],
  cases: [
    activationCase('gelu', 'f32', [1, 290, 4096], true),
    activationCase('gelu', 'f32', [77, 257]),
    activationCase('quick_gelu', 'f32', [50, 129]),
    activationCase('leaky_relu', 'f32', [3, 7]),
    activationCase('gelu', 'f32', [1]),
    activationCase('gelu', 'f16', [77, 65]),
    activationCase('quick_gelu', 'f16', [1, 2, 3]),
    activationCase('leaky_relu', 'f16', [5, 13]),
  ],
};

export const activationBackwardSuite: OpSuite<ActivationAttrs> = {
  op: activationBackwardOp,
  reference: activationBackwardReference,
  cases: [
    backwardCase('gelu', 'f32', [1, 290, 4096], true),
    backwardCase('gelu', 'f32', [77, 257]),
    backwardCase('quick_gelu', 'f32', [50, 129]),
    backwardCase('leaky_relu', 'f32', [3, 7]),
    backwardCase('gelu', 'f32', [1]),
    backwardCase('gelu', 'f16', [77, 65]),
    backwardCase('quick_gelu', 'f16', [1, 2, 3]),
    backwardCase('leaky_relu', 'f16', [5, 13]),
  ],
};
