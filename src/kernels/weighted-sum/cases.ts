import { type Dtype, tensorType } from '../../runtime/tensor-type';
import type { KernelCase, OpSuite } from '../suite';
import { weightedSumReference } from './reference';
import { type WeightedSumAttrs, weightedSumOp } from './weighted-sum';

function sumCase(
  dtype: Dtype,
  shape: number[],
  factors: readonly number[] = [0.8, 0.1, 0.1],
  bench = false,
): KernelCase<WeightedSumAttrs> {
  const type = tensorType(dtype, shape);
  return {
    name: `${dtype} [${shape}] ${factors.join(' ')}`,
    inputs: factors.map(() => type),
    attrs: { factors },
    bench,
  };
}

export const weightedSumSuite: OpSuite<WeightedSumAttrs> = {
  op: weightedSumOp,
  reference: weightedSumReference,
  differentiable: [0, 1, 2],
  cases: [
    sumCase('f32', [1, 290, 1024], [0.8, 0.1, 0.1], true),
    sumCase('f32', [3, 50, 65]),
    sumCase('f32', [1], [1, -0.25, 0]),
    sumCase('f32', [5, 7], [0.7, 0.05, 0.25]), // unequal shares show swapped operands
    sumCase('f32', [3, 7], [1, 2, 3, 4, 5, 6, 7]),
    sumCase('f32', [11], [-0.5]),
    sumCase('f16', [2, 77, 33]),
    sumCase('f16', [3], [0.7, 0.05, 0.25]),
  ],
};
