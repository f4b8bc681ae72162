import type { OpCall } from '../../runtime/op';
import type { CosineLogitsAttrs } from './cosine-logits';

export function cosineLogitsReference(
  [features, text]: readonly Float64Array[],
  call: OpCall<CosineLogitsAttrs>,
): Float64Array[] {
  const { scale, skip } = call.attrs;
  const [batch, tokens, width] = call.inputs[0]!.shape as [number, number, number];
  const classes = call.inputs[1]!.shape[0]!;
  const y: number[] = [];
  for (let b = 0; b < batch; b++)
    for (let n = skip; n < tokens; n++) {
      const start = (b * tokens + n) * width;
      const token = features!.subarray(start, start + width);
      const norm = Math.max(Math.sqrt(token.reduce((s, v) => s + v * v, 0)), 1e-12);
      for (let k = 0; k < classes; k++)
        y.push((scale * token.reduce((s, v, c) => s + v * text![k * width + c]!, 0)) / norm);
    }
  return [Float64Array.from(y)];
}
