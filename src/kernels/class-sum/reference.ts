import type { OpCall } from '../../runtime/op';
import type { ClassSumAttrs } from './class-sum';

export function classSumReference(xs: readonly Float64Array[], call: OpCall<ClassSumAttrs>): Float64Array[] {
  const classes = call.inputs[0]!.shape.at(-1)!;
  const y = new Float64Array(xs[0]!.length / classes);
  return [y.map((_, i) => xs.reduce((sum, x) => sum + x[i * classes + call.attrs.index]!, 0))];
}
