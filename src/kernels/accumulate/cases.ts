import { tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { accumulateOp } from './accumulate';
import { accumulateReference } from './reference';

/** Without anything to keep, acc holds NaN, as fresh memory may. */
function accumulateCase(shape: number[], keep: number, factor: number, bench = false): KernelCase<null> {
  return {
    name: `f32 [${shape}] keep ${keep} factor ${factor}`,
    inputs: [shape, shape, [2]].map((s) => tensorType('f32', s)),
    attrs: null,
    fill: (index, length) => {
      if (index === 2) return [keep, factor];
      if (index === 0 && keep === 0) return new Float64Array(length).fill(Number.NaN);
      return Float64Array.from({ length }, (_, i) => uniformAt(i, index));
    },
    bench,
  };
}

export const accumulateSuite: OpSuite<null> = {
  op: accumulateOp,
  reference: accumulateReference,
  cases: [
    accumulateCase([768, 1024], 1, 1, true),
    accumulateCase([31, 67], 1, 1),
    accumulateCase([11, 8, 77], 0, 1),
    accumulateCase([257], 0.75, -0.5),
    accumulateCase([1], 0, 3),
  ],
};
