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

export function layerNormBackwardReference(
  [x, weight, dy, addend]: readonly Float64Array[],
  call: OpCall<LayerNormAttrs>,
): Float64Array[] {
  const cols = call.inputs[0]!.shape.at(-1)!;
  const dx = new Float64Array(x!.length);
  const mean = (values: Float64Array) => values.reduce((s, v) => s + v, 0) / cols;
  for (let start = 0; start < x!.length; start += cols) {
    const row = x!.subarray(start, start + cols);
    const center = mean(row);
    const deviation = Math.sqrt(mean(row.map((v) => (v - center) ** 2)) + call.attrs.eps);
    const unit = row.map((v) => (v - center) / deviation);
    const g = unit.map((_, c) => dy![start + c]! * weight![c]!);
    const [level, slope] = [mean(g), mean(g.map((v, c) => v * unit[c]!))];
    for (let c = 0; c < cols; c++) {
      dx[start + c] = (g[c]! - level - unit[c]! * slope) / deviation + (addend?.[start + c] ?? 0);
    }
  }
  return [dx];
}
