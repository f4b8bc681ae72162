import { tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { squareSumReference } from './reference';
import { type SquareSumAttrs, squareSumOp } from './square-sum';

/** `bad` puts a value at the middle (of one element, at the only one). */
function squareSumCase(
  shape: number[],
  n: number,
  index: number,
  options: { bad?: number; bench?: boolean } = {},
): KernelCase<SquareSumAttrs> {
  const { bad, bench = false } = options;
  return {
    name: `f32 [${shape}] to ${index} of ${n}${bad === undefined ? '' : `, ${bad} inside`}`,
    inputs: [tensorType('f32', [n]), tensorType('f32', shape)],
    attrs: { index },
    fill: (operand, length) => {
      const values = Float64Array.from({ length }, (_, i) => uniformAt(i, operand));
      return operand === 1 && bad !== undefined ? values.with(length >> 1, bad) : values;
    },
    bench,
  };
}

export const squareSumSuite: OpSuite<SquareSumAttrs> = {
  op: squareSumOp,
  reference: squareSumReference,
  cases: [
    squareSumCase([768, 1024], 18, 3, { bench: true }),
    squareSumCase([11, 8, 768], 18, 17, { bench: true }),
    squareSumCase([97, 101], 5, 2),
    squareSumCase([301, 257], 5, 4), // more parts than one
    squareSumCase([1], 1, 0),
    squareSumCase([3, 7], 3, 0),
    squareSumCase([97, 101], 5, 1, { bad: Number.NaN }),
    squareSumCase([301, 257], 5, 1, { bad: Number.NEGATIVE_INFINITY }),
    squareSumCase([33], 2, 1, { bad: -(2 ** 48) }),
    squareSumCase([33], 2, 1, { bad: 2 ** 48 - 2 ** 24 }), // the largest that still counts
    squareSumCase([1], 1, 0, { bad: Number.POSITIVE_INFINITY }),
    squareSumCase([333], 3, 2, { bad: 3e38 }),
  ],
};
