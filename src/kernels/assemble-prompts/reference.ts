import type { OpCall } from '../../runtime/op';
import type { AssemblePromptsAttrs } from './assemble-prompts';

export function assemblePromptsReference(
  [tokens, position, context]: readonly Float64Array[],
  call: OpCall<AssemblePromptsAttrs>,
): Float64Array[] {
  const [prompts, length, width] = call.inputs[0]!.shape as [number, number, number];
  const m = call.inputs[2]?.shape[1] ?? 0;
  const y = new Float64Array(tokens!.length);
  let i = 0;
  for (let p = 0; p < prompts; p++)
    for (let t = 0; t < length; t++)
      for (let w = 0; w < width; w++) {
        const learned = context && t >= 1 && t < 1 + m;
        const token = learned ? context[(p * m + t - 1) * width + w]! : tokens![i]!;
        y[i++] = token + position![t * width + w]!;
      }
  return [y];
}
