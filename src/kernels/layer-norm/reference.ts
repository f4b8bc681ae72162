import type { OpCall } from '../../runtime/op';
import type { LayerNormAttrs } from './layer-norm';

export function layerNormReference(
  [x, weight, bias]: readonly Float64Array[],
  call: OpCall<LayerNormAttrs>,
): Float64Array[] {
  const cols = call.inputs[0]!.shape.at(-1)!;
  const y = new Float64Array(x!.length);
  for (let start = 0; start < x!.length; start += cols) {
    const row = x!.subarray(start, start + cols);
    const mean = row.reduce((s, v) => s + v, 0) / cols;
    const variance = row.reduce((s, v) => s + (v - mean) ** 2, 0) / cols;
    for (let c = 0; c < cols; c++) {
      y[start + c] = ((row[c]! - mean) / Math.sqrt(variance + call.attrs.eps)) * weight![c]! + bias![c]!;
    }
  }
  return [y];
}
