import type { OpCall } from '../../runtime/op';
import { sizeOf } from '../../runtime/tensor-type';
import { softmaxReference } from '../softmax/reference';
import type { ReduceAttrs } from './reduce';
import type { ReduceBackwardAttrs } from './reduce-backward';

export function reduceReference([given]: readonly Float64Array[], call: OpCall<ReduceAttrs>): Float64Array[] {
  const { axis, kind } = call.attrs;
  const { dtype, shape } = call.inputs[0]!;
  const length = shape[axis]!;
  const inner = shape.slice(axis + 1).reduce((p, n) => p * n, 1);
  const rows = { dtype, shape: [given!.length / inner, inner] };
  const [x] =
    kind === 'softmax_mean'
      ? softmaxReference([given!], { inputs: [rows], outputs: [rows], attrs: null })
      : [given!];
  const y = new Float64Array(sizeOf(call.outputs[0]!));
  for (let o = 0; o < y.length / inner; o++)
    for (let i = 0; i < inner; i++) {
      const terms = Array.from({ length }, (_, a) => x![(o * length + a) * inner + i]!);
      const sum = terms.reduce((s, v) => s + v, 0);
      y[o * inner + i] =
        kind === 'max' ? terms.reduce((m, v) => Math.max(m, v)) : kind === 'sum' ? sum : sum / length;
    }
  return [y];
}

export function reduceBackwardReference(
  [dy]: readonly Float64Array[],
  call: OpCall<ReduceBackwardAttrs>,
): Float64Array[] {
  const { axis, length, kind } = call.attrs;
  const inner = call.inputs[0]!.shape.slice(axis).reduce((p, n) => p * n, 1);
  const dx = new Float64Array(sizeOf(call.outputs[0]!));
  for (let o = 0; o < dy!.length / inner; o++)
    for (let a = 0; a < length; a++)
      for (let i = 0; i < inner; i++) {
        dx[(o * length + a) * inner + i] = dy![o * inner + i]! / (kind === 'mean' ? length : 1);
      }
  return [dx];
}
