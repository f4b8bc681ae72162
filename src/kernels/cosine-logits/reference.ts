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

/** Visits kept tokens: where the token starts in features, and where its gradients start in dy. */
function keptTokens(call: OpCall<CosineLogitsAttrs>, visit: (start: number, token: number) => void): void {
  const { skip } = call.attrs;
  const [batch, tokens, width] = call.inputs[0]!.shape as [number, number, number];
  let token = 0;
  for (let b = 0; b < batch; b++)
    for (let n = skip; n < tokens; n++) visit((b * tokens + n) * width, token++);
}

export function cosineLogitsBackwardFeaturesReference(
  [features, text, dy]: readonly Float64Array[],
  call: OpCall<CosineLogitsAttrs>,
): Float64Array[] {
  const [classes, width] = call.inputs[1]!.shape as [number, number];
  const result = new Float64Array(features!.length);
  keptTokens(call, (start, token) => {
    const f = features!.subarray(start, start + width);
    const h = f.map((_, c) => {
      let sum = 0;
      for (let k = 0; k < classes; k++) sum += dy![token * classes + k]! * text![k * width + c]!;
      return call.attrs.scale * sum;
    });
    const norm = Math.sqrt(f.reduce((s, v) => s + v * v, 0));
    const along = f.reduce((s, v, c) => s + (v / norm) * h[c]!, 0);
    f.forEach((v, c) => {
      result[start + c] = norm > 1e-12 ? (h[c]! - (v / norm) * along) / norm : h[c]! / 1e-12;
    });
  });
  return [result];
}

export function cosineLogitsBackwardTextReference(
  [features, dy]: readonly Float64Array[],
  call: OpCall<CosineLogitsAttrs>,
): Float64Array[] {
  const width = call.inputs[0]!.shape[2]!;
  const classes = call.inputs[1]!.shape[2]!;
  const result = new Float64Array(classes * width);
  keptTokens(call, (start, token) => {
    const f = features!.subarray(start, start + width);
    const norm = Math.max(Math.sqrt(f.reduce((s, v) => s + v * v, 0)), 1e-12);
    for (let k = 0; k < classes; k++) {
      const share = (call.attrs.scale * dy![token * classes + k]!) / norm;
      for (let c = 0; c < width; c++) result[k * width + c]! += share * f[c]!;
    }
  });
  return [result];
}
