import { type Dtype, tensorType } from '../../runtime/tensor-type';
import type { KernelCase, OpSuite } from '../suite';
import { type GroupMeanAttrs, groupMeanOp } from './group-mean';
import { type GroupMeanBackwardAttrs, groupMeanBackwardOp } from './group-mean-backward';
import { groupMeanBackwardReference, groupMeanReference } from './reference';

function meanCase(
  dtype: Dtype,
  counts: readonly number[],
  cols: number,
  bench = false,
): KernelCase<GroupMeanAttrs> {
  const rows = counts.reduce((sum, n) => sum + n, 0);
  return {
    name: `${dtype} [${rows},${cols}], groups of ${counts.join(', ')}`,
    inputs: [tensorType(dtype, [rows, cols])],
    attrs: { counts },
    bench,
  };
}

export const groupMeanSuite: OpSuite<GroupMeanAttrs> = {
  op: groupMeanOp,
  reference: groupMeanReference,
  differentiable: [0],
  cases: [
    meanCase('f32', [10, 11], 768, true),
    meanCase('f32', [1, 2, 3], 65),
    meanCase('f32', [1001, 5], 7),
    meanCase('f32', [3], 1),
    meanCase('f32', [1, 1, 1, 1, 1], 129),
    meanCase('f16', [5, 2], 33),
    meanCase('f16', [77, 50], 7),
  ],
};

function backwardCase(
  dtype: Dtype,
  counts: readonly number[],
  cols: number,
  bench = false,
): KernelCase<GroupMeanBackwardAttrs> {
  return {
    ...meanCase(dtype, counts, cols, bench),
    inputs: [tensorType('f32', [counts.length, cols])],
    attrs: { counts, dtype },
  };
}

export const groupMeanBackwardSuite: OpSuite<GroupMeanBackwardAttrs> = {
  op: groupMeanBackwardOp,
  reference: groupMeanBackwardReference,
  cases: [
    backwardCase('f32', [10, 11], 768, true),
    backwardCase('f32', [1, 2, 3], 65),
    backwardCase('f32', [290, 5], 7),
    backwardCase('f32', [3], 1),
    backwardCase('f16', [5, 2], 33),
    backwardCase('f16', [77, 50], 7),
  ],
};
