import { type Dtype, tensorType } from '../../runtime/tensor-type';
import type { KernelCase, OpSuite } from '../suite';
import { residualMixReference } from './reference';
import { type ResidualMixAttrs, residualMixOp } from './residual-mix';

function mixCase(
  dtype: Dtype,
  shape: number[],
  attrs: ResidualMixAttrs = { gamma: 0.8, alpha: 0.1, beta: 0.1 },
  bench = false,
): KernelCase<ResidualMixAttrs> {
  const type = tensorType(dtype, shape);
  return {
    name: `${dtype} [${shape}] ${attrs.gamma} ${attrs.alpha} ${attrs.beta}`,
    inputs: [type, type, type],
    attrs,
    bench,
  };
}

export const residualMixSuite: OpSuite<ResidualMixAttrs> = {
  op: residualMixOp,
  reference: residualMixReference,
  cases: [
    mixCase('f32', [1, 290, 1024], { gamma: 0.8, alpha: 0.1, beta: 0.1 }, true),
    mixCase('f32', [3, 50, 65]),
    mixCase('f32', [1], { gamma: 1, alpha: -0.25, beta: 0 }),
    mixCase('f32', [5, 7], { gamma: 0.7, alpha: 0.05, beta: 0.25 }), // unequal shares show swapped operands
    mixCase('f16', [2, 77, 33]),
    mixCase('f16', [3], { gamma: 0.7, alpha: 0.05, beta: 0.25 }),
  ],
};
