import type { OpCall } from '../../runtime/op';
import type { AdamAttrs } from './adam';

export function adamReference(
  [w, m, v, gradient, control, hyper]: readonly Float64Array[],
  { attrs }: OpCall<AdamAttrs>,
): Float64Array[] {
  const [rate, beta1, beta2, eps, decay, c1, c2, active] = [...hyper!] as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (active === 0 || control![1]! < 0) return [w!, m!, v!];
  const g = gradient!.map((d, i) => control![0]! * d + (attrs.decoupled ? 0 : decay * w![i]!));
  const first = m!.map((old, i) => beta1 * old + (1 - beta1) * g[i]!);
  const second = v!.map((old, i) => beta2 * old + (1 - beta2) * g[i]! ** 2);
  const next = w!.map((old, i) => {
    const kept = attrs.decoupled ? old * (1 - rate * decay) : old;
    return kept - (rate * first[i]! * c1) / (Math.sqrt(second[i]! * c2) + eps);
  });
  return [next, first, second];
}
