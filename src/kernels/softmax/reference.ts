import type { OpCall } from '../../runtime/op';

export function softmaxReference([x]: readonly Float64Array[], call: OpCall<null>): Float64Array[] {
  const cols = call.inputs[0]!.shape.at(-1)!;
  const y = new Float64Array(x!.length);
  for (let start = 0; start < x!.length; start += cols) {
    const row = x!.subarray(start, start + cols);
    const largest = row.reduce((m, v) => Math.max(m, v));
    const exponentials = row.map((v) => Math.exp(v - largest));
    const sum = exponentials.reduce((s, v) => s + v, 0);
    exponentials.forEach((v, c) => {
      y[start + c] = v / sum;
    });
  }
  return [y];
}

export function softmaxBackwardReference(
  [y, dy]: readonly Float64Array[],
  call: OpCall<null>,
): Float64Array[] {
  const cols = call.inputs[0]!.shape.at(-1)!;
  const dx = new Float64Array(y!.length);
  for (let start = 0; start < y!.length; start += cols) {
    const row = y!.subarray(start, start + cols);
    const sum = row.reduce((s, v, c) => s + v * dy![start + c]!, 0);
    row.forEach((v, c) => {
      dx[start + c] = v * (dy![start + c]! - sum);
    });
  }
  return [dx];
}
