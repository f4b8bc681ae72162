import { tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { windowHarmonicReference } from './reference';
import { type WindowHarmonicAttrs, windowHarmonicOp } from './window-harmonic';

function harmonicCase(
  batch: number,
  grid: number,
  counts: readonly number[],
  { zeros = false, bench = false } = {},
): KernelCase<WindowHarmonicAttrs> {
  return {
    name: `f32 ${counts.join(', ')} windows a side on ${batch} x ${grid}x${grid}${zeros ? ', zeros among them' : ''}`,
    inputs: counts.map((n) => tensorType('f32', [batch, n, n])),
    attrs: { grid },
    bench,
    // Probabilities from 1e-6 to 1, as a softmax gives.
    fill: (index, length) =>
      Float32Array.from({ length }, (_, i) =>
        zeros && i % 5 === 0 ? 0 : 10 ** (-3 + 3 * uniformAt(i, index)),
      ),
  };
}

export const windowHarmonicSuite: OpSuite<WindowHarmonicAttrs> = {
  op: windowHarmonicOp,
  reference: windowHarmonicReference,
  cases: [
    harmonicCase(1, 17, [1, 16, 15], { bench: true }),
    harmonicCase(2, 7, [1, 6, 5]),
    harmonicCase(3, 5, [4]),
    harmonicCase(2, 9, [9, 7]), // the cells themselves
    harmonicCase(2, 3, [1, 2, 1]), // windows as large as the grid
    harmonicCase(1, 1, [1]),
    harmonicCase(2, 11, [10, 9], { zeros: true }),
  ],
};
