import type { OpCall } from '../../runtime/op';
import type { AssemblePromptsAttrs } from './assemble-prompts';
import type { AssemblePromptsBackwardAttrs } from './assemble-prompts-backward';

export function assemblePromptsReference(
  [tokens, position, ...contexts]: readonly Float64Array[],
  call: OpCall<AssemblePromptsAttrs>,
): Float64Array[] {
  const [prompts, length, width] = call.inputs[0]!.shape as [number, number, number];
  const m = call.inputs[2]?.shape[1] ?? 0;
  const learned = contexts.flatMap((context) => [...context]);
  const y = new Float64Array(tokens!.length);
  let i = 0;
  for (let p = 0; p < prompts; p++)
    for (let t = 0; t < length; t++)
      for (let w = 0; w < width; w++) {
        const inContext = t >= 1 && t < 1 + m;
        const token = inContext ? learned[(p * m + t - 1) * width + w]! : tokens![i]!;
        y[i++] = token + position![t * width + w]!;
      }
  return [y];
}

export function assemblePromptsBackwardReference(
  [dy]: readonly Float64Array[],
  call: OpCall<AssemblePromptsBackwardAttrs>,
): Float64Array[] {
  const { first, count, vectors } = call.attrs;
  const [, length, width] = call.inputs[0]!.shape as [number, number, number];
  const result: number[] = [];
  for (let p = first; p < first + count; p++)
    for (let t = 1; t <= vectors; t++)
      for (let w = 0; w < width; w++) result.push(dy![(p * length + t) * width + w]!);
  return [Float64Array.from(result)];
}
