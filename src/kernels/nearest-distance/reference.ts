import type { OpCall } from '../../runtime/op';
import type { NearestDistanceAttrs } from './nearest-distance';

export function nearestDistanceReference(
  [q, bank, prev]: readonly Float64Array[],
  { inputs, attrs: { skip } }: OpCall<NearestDistanceAttrs>,
): Float64Array[] {
  const [batch, tokens, cols] = inputs[0]!.shape as [number, number, number];
  const row = (of: Float64Array, r: number) => of.subarray(r * cols, (r + 1) * cols);
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, v, c) => sum + v * b[c]!, 0);
  const y: number[] = [];
  for (let b = 0; b < batch; b++) {
    for (let t = skip; t < tokens; t++) {
      const query = row(q!, b * tokens + t);
      const length = Math.max(Math.sqrt(dot(query, query)), 1e-8);
      let nearest = prev ? prev[y.length]! : Number.POSITIVE_INFINITY;
      for (let r = 0; r < bank!.length / cols; r++) {
        nearest = Math.min(nearest, 1 - dot(query, row(bank!, r)) / length);
      }
      y.push(nearest);
    }
  }
  return [Float64Array.from(y)];
}
