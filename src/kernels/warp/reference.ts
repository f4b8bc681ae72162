import type { OpCall } from '../../runtime/op';
import type { WarpAttrs } from './warp';

/** grid_sample's own steps, one after another. */
export function warpReference(
  [x, transforms]: readonly Float64Array[],
  { inputs, attrs }: OpCall<WarpAttrs>,
): Float64Array[] {
  const [, channels, side] = inputs[0]!.shape as [number, number, number];
  const normalised = (i: number) => (2 * i + 1) / side - 1;
  const reflected = (n: number) => {
    const distance = Math.abs(((n + 1) * side - 1) / 2 + 0.5);
    const extra = distance % side;
    const turned = Math.floor(distance / side) % 2 === 0 ? extra : side - extra;
    return Math.min(Math.max(turned - 0.5, 0), side - 1);
  };
  const y = x!.map((_, i) => {
    const [column, row] = [i % side, Math.floor(i / side) % side];
    const plane = Math.floor(i / side ** 2);
    const m = transforms!.subarray(6 * Math.floor(plane / channels));
    const source = (at: number) =>
      reflected(m[at]! * normalised(column) + m[at + 1]! * normalised(row) + m[at + 2]!);
    const [across, down] = [source(0), source(3)];
    const [left, above] = [Math.floor(across), Math.floor(down)];
    let sum = 0;
    for (const r of [above, above + 1])
      for (const c of [left, left + 1]) {
        const share = (1 - Math.abs(across - c)) * (1 - Math.abs(down - r));
        if (r < side && c < side) sum += share * x![(plane * side + r) * side + c]!;
      }
    return sum;
  });
  return [attrs.threshold ? y.map((v) => Number(v > 0.50001)) : y];
}
