import type { OpCall } from '../../runtime/op';
import type { SquareSumAttrs } from './square-sum';

export function squareSumReference(
  [norms, x]: readonly Float64Array[],
  { attrs }: OpCall<SquareSumAttrs>,
): Float64Array[] {
  const finite = x!.every((v) => Math.abs(v) < 2 ** 48);
  const sum = x!.reduce((s, v) => s + v * v, 0);
  return [norms!.with(attrs.index, finite ? sum : -1)];
}
