import type { OpCall } from '../../runtime/op';

export function gatherRowsReference([x, rows]: readonly Float64Array[], call: OpCall<null>): Float64Array[] {
  const [count, cols] = call.inputs[0]!.shape as [number, number];
  const y = new Float64Array(rows!.length * cols);
  rows!.forEach((row, n) => {
    const start = Math.min(row, count - 1) * cols;
    y.set(x!.subarray(start, start + cols), n * cols);
  });
  return [y];
}
