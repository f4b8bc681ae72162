import type { OpCall } from '../../runtime/op';
import type { BceLossAttrs } from './bce-loss';

const TINY = 2 ** -126;

export function bceLossReference(
  [p, labels, weights, scale]: readonly Float64Array[],
  { attrs }: OpCall<BceLossAttrs>,
): Float64Array[] {
  const gradient = new Float64Array(p!.length);
  let loss = 0;
  labels!.forEach((t, b) => {
    const weight = weights![b]!;
    if (weight === 0) return;
    const given = p![2 * b + 1]!;
    if (attrs.form === 'logits') {
      loss += weight * (Math.max(given, 0) - given * t + Math.log1p(Math.exp(-Math.abs(given))));
      gradient[2 * b + 1] = scale![0]! * weight * (1 / (1 + Math.exp(-given)) - t);
    } else {
      const x = Math.min(Math.max(given, 0), 1);
      const log = (v: number) => (v < TINY ? -100 : Math.max(Math.log(v), -100));
      loss -= weight * (t * log(x) + (1 - t) * log(1 - x));
      gradient[2 * b + 1] = (scale![0]! * weight * (x - t)) / Math.max(x * (1 - x), 1e-12);
    }
  });
  return [Float64Array.of(loss), gradient];
}
