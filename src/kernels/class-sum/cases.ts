import { tensorType } from '../../runtime/tensor-type';
import type { KernelCase, OpSuite } from '../suite';
import { type ClassSumAttrs, classSumOp } from './class-sum';
import { classSumReference } from './reference';

function classSumCase(
  stages: number,
  shape: number[],
  index: number,
  bench = false,
): KernelCase<ClassSumAttrs> {
  return {
    name: `f32 ${stages} x [${shape}], class ${index}`,
    inputs: Array.from({ length: stages }, () => tensorType('f32', shape)),
    attrs: { index },
    bench,
  };
}

export const classSumSuite: OpSuite<ClassSumAttrs> = {
  op: classSumOp,
  reference: classSumReference,
  cases: [
    classSumCase(4, [1, 240, 240, 2], 1, true),
    classSumCase(1, [2, 7, 7, 2], 0),
    classSumCase(7, [3, 50, 3], 2),
    classSumCase(2, [2], 1),
    classSumCase(3, [5, 1], 0),
  ],
};
