import type { OpCall } from '../../runtime/op';
import type { GatherRowsBackwardAttrs } from './gather-rows-backward';

export function gatherRowsReference([x, rows]: readonly Float64Array[], call: OpCall<null>): Float64Array[] {
  const [count, cols] = call.inputs[0]!.shape as [number, number];
  const y = new Float64Array(rows!.length * cols);
  rows!.forEach((row, n) => {
    const start = Math.min(row, count - 1) * cols;
    y.set(x!.subarray(start, start + cols), n * cols);
  });
  return [y];
}

export function gatherRowsBackwardReference(
  [rows, dy]: readonly Float64Array[],
  call: OpCall<GatherRowsBackwardAttrs>,
): Float64Array[] {
  const { count } = call.attrs;
  const cols = call.inputs[1]!.shape[1]!;
  const dx = new Float64Array(count * cols);
  rows!.forEach((row, n) => {
    const start = Math.min(row, count - 1) * cols;
    for (let c = 0; c < cols; c++) dx[start + c]! += dy![n * cols + c]!;
  });
  return [dx];
}
