import type { OpCall } from '../../runtime/op';
import type { ResidualMixAttrs } from './residual-mix';

export function residualMixReference(
  [x, a, b]: readonly Float64Array[],
  { attrs }: OpCall<ResidualMixAttrs>,
): Float64Array[] {
  return [x!.map((v, i) => attrs.gamma * v + attrs.alpha * a![i]! + attrs.beta * b![i]!)];
}
