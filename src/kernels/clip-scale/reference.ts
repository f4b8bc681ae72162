import type { OpCall } from '../../runtime/op';
import type { ClipScaleAttrs } from './clip-scale';

export function clipScaleReference(
  [squares, hyper]: readonly Float64Array[],
  { attrs: { watched } }: OpCall<ClipScaleAttrs>,
): Float64Array[] {
  const counted = squares!.slice(0, squares!.length - watched);
  const [inverse, most] = hyper as unknown as [number, number];
  const finite = squares!.every((v) => v >= 0);
  const norms = squares!.map((v) => (v < 0 ? -1 : inverse * Math.sqrt(v)));
  const total = finite ? inverse * Math.sqrt(counted.reduce((sum, v) => sum + v, 0)) : -1;
  const factor = inverse * (most > 0 ? Math.min(1, most / (total + 1e-6)) : 1);
  return [Float64Array.of(finite ? factor : 0, total, ...norms)];
}
