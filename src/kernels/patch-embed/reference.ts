import type { OpCall } from '../../runtime/op';
import { sizeOf } from '../../runtime/tensor-type';
import type { PatchifyAttrs } from './patch-embed';

export function patchifyReference(
  [images]: readonly Float64Array[],
  call: OpCall<PatchifyAttrs>,
): Float64Array[] {
  const { patch } = call.attrs;
  const [batch, , , side] = call.inputs[0]!.shape as [number, number, number, number];
  const grid = Math.floor(side / patch);
  const y = new Float64Array(sizeOf(call.outputs[0]!));
  let i = 0;
  for (let b = 0; b < batch; b++)
    for (let gy = 0; gy < grid; gy++)
      for (let gx = 0; gx < grid; gx++)
        for (let c = 0; c < 3; c++)
          for (let py = 0; py < patch; py++)
            for (let px = 0; px < patch; px++)
              y[i++] = images![((b * 3 + c) * side + gy * patch + py) * side + gx * patch + px]!;
  return [y];
}

export function assembleTokensReference(
  [patches, classEmbedding, position]: readonly Float64Array[],
  call: OpCall<null>,
): Float64Array[] {
  const [batch, tokens, width] = call.outputs[0]!.shape as [number, number, number];
  const y = new Float64Array(batch * tokens * width);
  let i = 0;
  for (let b = 0; b < batch; b++)
    for (let t = 0; t < tokens; t++)
      for (let d = 0; d < width; d++) {
        const token = t === 0 ? classEmbedding![d]! : patches![(b * (tokens - 1) + t - 1) * width + d]!;
        y[i++] = token + position![t * width + d]!;
      }
  return [y];
}
