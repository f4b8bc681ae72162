import type { OpCall } from '../../runtime/op';
import type { L2NormalizeAttrs } from './l2-normalize';

export function l2NormalizeReference(
  [x]: readonly Float64Array[],
  call: OpCall<L2NormalizeAttrs>,
): Float64Array[] {
  const cols = call.inputs[0]!.shape.at(-1)!;
  const y = new Float64Array(x!.length);
  for (let start = 0; start < x!.length; start += cols) {
    const row = x!.subarray(start, start + cols);
    const norm = Math.max(Math.sqrt(row.reduce((s, v) => s + v * v, 0)), call.attrs.eps);
    row.forEach((v, c) => {
      y[start + c] = v / norm;
    });
  }
  return [y];
}

export function l2NormalizeBackwardReference(
  [x, dy]: readonly Float64Array[],
  call: OpCall<L2NormalizeAttrs>,
): Float64Array[] {
  const cols = call.inputs[0]!.shape.at(-1)!;
  const { eps } = call.attrs;
  const dx = new Float64Array(x!.length);
  for (let start = 0; start < x!.length; start += cols) {
    const row = x!.subarray(start, start + cols);
    const norm = Math.sqrt(row.reduce((s, v) => s + v * v, 0));
    const along = row.reduce((s, v, c) => s + (v / norm) * dy![start + c]!, 0);
    row.forEach((v, c) => {
      const g = dy![start + c]!;
      dx[start + c] = norm > eps ? (g - (v / norm) * along) / norm : g / eps;
    });
  }
  return [dx];
}
