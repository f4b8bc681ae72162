import type { OpCall } from '../../runtime/op';
import type { GroupMeanAttrs } from './group-mean';
import type { GroupMeanBackwardAttrs } from './group-mean-backward';

export function groupMeanReference(
  [x]: readonly Float64Array[],
  call: OpCall<GroupMeanAttrs>,
): Float64Array[] {
  const cols = call.inputs[0]!.shape[1]!;
  const y: number[] = [];
  let start = 0;
  for (const count of call.attrs.counts) {
    for (let c = 0; c < cols; c++) {
      let sum = 0;
      for (let n = 0; n < count; n++) sum += x![start + n * cols + c]!;
      y.push(sum / count);
    }
    start += count * cols;
  }
  return [Float64Array.from(y)];
}

export function groupMeanBackwardReference(
  [dy]: readonly Float64Array[],
  call: OpCall<GroupMeanBackwardAttrs>,
): Float64Array[] {
  const cols = call.inputs[0]!.shape[1]!;
  const dx: number[] = [];
  call.attrs.counts.forEach((count, g) => {
    for (let n = 0; n < count; n++) for (let c = 0; c < cols; c++) dx.push(dy![g * cols + c]! / count);
  });
  return [Float64Array.from(dx)];
}
