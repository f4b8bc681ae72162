import { type Dtype, tensorType } from '../../runtime/tensor-type';
import type { KernelCase, OpSuite } from '../suite';
import { type ActivationAttrs, type ActivationKind, activationOp } from './activation';
import { activationOpReference } from './reference';

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
    // Evenly over [-10, 10): both tails and the middle.
    fill: (_index, length) => Float64Array.from({ length }, (_, i) => (20 * (i + 0.25)) / length - 10),
    bench,
  };
}

export const activationSuite: OpSuite<ActivationAttrs> = {
  op: activationOp,
  reference: activationOpReference,
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
