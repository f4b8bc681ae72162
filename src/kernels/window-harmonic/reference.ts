import type { OpCall } from '../../runtime/op';
import { LEAST_SCORE, type WindowHarmonicAttrs } from './window-harmonic';

/** Every window gives its reciprocal to the cells that it covers. */
export function windowHarmonicReference(
  xs: readonly Float64Array[],
  { inputs, attrs: { grid } }: OpCall<WindowHarmonicAttrs>,
): Float64Array[] {
  const batch = inputs[0]!.shape[0]!;
  const total = new Float64Array(batch * grid * grid);
  xs.forEach((x, s) => {
    const n = inputs[s]!.shape[1]!;
    const side = grid - n + 1;
    const sum = new Float64Array(total.length);
    const windows = new Float64Array(total.length);
    for (let b = 0; b < batch; b++)
      for (let top = 0; top < n; top++)
        for (let left = 0; left < n; left++)
          for (let i = top; i < top + side; i++)
            for (let j = left; j < left + side; j++) {
              const cell = (b * grid + i) * grid + j;
              sum[cell]! += 1 / Math.max(x[(b * n + top) * n + left]!, LEAST_SCORE);
              windows[cell]!++;
            }
    sum.forEach((value, cell) => {
      total[cell]! += value / windows[cell]!;
    });
  });
  return [total.map((value) => xs.length / value)];
}
