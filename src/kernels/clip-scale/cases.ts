import { tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { type ClipScaleAttrs, clipScaleOp } from './clip-scale';
import { clipScaleReference } from './reference';

/** Sums of squares in (0, 200) of `n` tensors, the last of them `watched` alone; those in `bad` are not finite. */
function clipCase(
  n: number,
  inverse: number,
  most: number,
  bad: readonly number[] = [],
  { bench = false, watched = 0 } = {},
): KernelCase<ClipScaleAttrs> {
  const more = [watched > 0 && `${watched} watched`, bad.length > 0 && `${bad} not finite`].filter(Boolean);
  return {
    name: [`${n} tensors`, `inverse scale ${inverse}`, `at most ${most}`, ...more].join(', '),
    inputs: [tensorType('f32', [n]), tensorType('f32', [2])],
    attrs: { watched },
    fill: (index, length) =>
      index === 1
        ? [inverse, most]
        : Float64Array.from({ length }, (_, i) => (bad.includes(i) ? -1 : 100 + 99 * uniformAt(i))),
    bench,
  };
}

export const clipScaleSuite: OpSuite<ClipScaleAttrs> = {
  op: clipScaleOp,
  reference: clipScaleReference,
  cases: [
    clipCase(18, 1, 1, [], { bench: true }),
    clipCase(7, 1, 0),
    clipCase(7, 0.25, 2.5),
    clipCase(7, 0.25, 1000), // far below the maximum: nothing is clipped
    clipCase(1, 2, 3),
    clipCase(5, 0.5, 3, [4]),
    clipCase(5, 0.5, 0, [0, 2]),
    clipCase(333, 1, 1),
    clipCase(333, 0.5, 0, [332]),
    clipCase(9, 0.5, 3, [], { watched: 2 }),
    clipCase(9, 0.5, 3, [8], { watched: 2 }),
    clipCase(70, 1, 0, [], { watched: 40 }),
  ],
};
