import { tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { augmentations } from './augmentations';
import { warpReference } from './reference';
import { type WarpAttrs, warpOp } from './warp';

/** Far outside on both sides: several mirrors, and a shear that is no symmetry. */
const FAR = [
  [1.3, 0.4, -3.1, -0.7, 2.1, 5.3],
  [0.2, -1.9, 7.77, 0.9, 0.3, -0.61],
];

function warpCase(
  shape: readonly [batch: number, channels: number, side: number],
  transforms: readonly (readonly number[])[],
  options: { threshold?: boolean; note?: string; bench?: boolean } = {},
): KernelCase<WarpAttrs> {
  const [batch, channels, side] = shape;
  const { threshold = false, note, bench = false } = options;
  return {
    name: `f32 [${[batch, channels, side, side]}]${threshold ? ' threshold' : ''}${note ? `, ${note}` : ''}`,
    inputs: [tensorType('f32', [batch, channels, side, side]), tensorType('f32', [batch, 6])],
    attrs: { threshold },
    fill: (index, length) => {
      if (index === 1)
        return Array.from({ length: batch }, (_, b) => transforms[b % transforms.length]!).flat();
      return Float64Array.from({ length }, (_, i) => {
        if (!threshold) return uniformAt(i);
        if (side < 100) return Number(uniformAt(i) > 0);
        // A disc: of a million samples of noise, some would lie so near to the threshold that f32 decides them otherwise.
        const [row, column] = [Math.floor(i / side) % side, i % side];
        return Number(Math.hypot(row - 0.4 * side, column - 0.7 * side) < side / 4);
      });
    },
    bench,
  };
}

const ALL = augmentations().map(({ matrix }) => matrix);

export const warpSuite: OpSuite<WarpAttrs> = {
  op: warpOp,
  reference: warpReference,
  cases: [
    warpCase([16, 3, 240], ALL, { bench: true }),
    warpCase([16, 1, 240], ALL, { threshold: true, bench: true }),
    warpCase([11, 2, 33], ALL),
    warpCase([11, 1, 50], ALL, { threshold: true, note: 'ties' }), // 0.1 is two and a half pixels
    warpCase([2, 3, 17], FAR, { note: 'far outside' }),
    warpCase([2, 1, 17], FAR, { threshold: true, note: 'far outside' }),
    warpCase([2, 1, 1], FAR, { note: 'one pixel' }),
  ],
};
