import type { OpCall } from '../../runtime/op';
import type { WeightedSumAttrs } from './weighted-sum';

export function weightedSumReference(
  xs: readonly Float64Array[],
  { attrs }: OpCall<WeightedSumAttrs>,
): Float64Array[] {
  return [xs[0]!.map((_, i) => xs.reduce((sum, x, k) => sum + attrs.factors[k]! * x[i]!, 0))];
}
