import { tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { clipScaleOp } from './clip-scale';
import { clipScaleReference } from './reference';

/** Sums of squares in (0, 200) of `n` tensors; those in `bad` are not finite. */
function clipCase(
  n: number,
  inverse: number,
  most: number,
  bad: readonly number[] = [],
  bench = false,
): KernelCase<null> {
  return {
    name: `${n} tensors, inverse scale ${inverse}, at most ${most}${bad.length > 0 ? `, ${bad} not finite` : ''}`,
    inputs: [tensorType('f32', [n]), tensorType('f32', [2])],
    attrs: null,
    fill: (index, length) =>
      index === 1
        ? [inverse, most]
        : Float64Array.from({ length }, (_, i) => (bad.includes(i) ? -1 : 100 + 99 * uniformAt(i))),
    bench,
  };
}

export const clipScaleSuite: OpSuite<null> = {
  op: clipScaleOp,
  reference: clipScaleReference,
  cases: [
    clipCase(18, 1, 1, [], true),
    clipCase(7, 1, 0),
    clipCase(7, 0.25, 2.5),
    clipCase(7, 0.25, 1000), // far below the maximum: nothing is clipped
    clipCase(1, 2, 3),
    clipCase(5, 0.5, 3, [4]),
    clipCase(5, 0.5, 0, [0, 2]),
    clipCase(333, 1, 1),
    clipCase(333, 0.5, 0, [332]),
  ],
};
