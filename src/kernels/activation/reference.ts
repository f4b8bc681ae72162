import type { OpCall } from '../../runtime/op';
import type { ActivationAttrs, ActivationKind } from './activation';

export function activationReference(kind: ActivationKind, x: number): number {
  if (kind === 'gelu') return x * normalCdf(x);
  if (kind === 'quick_gelu') return x / (1 + Math.exp(-1.702 * x));
  return x > 0 ? x : 0.01 * x;
}

/** f'(x). */
export function activationGradientReference(kind: ActivationKind, x: number): number {
  if (kind === 'gelu') return normalCdf(x) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI);
  if (kind === 'quick_gelu') {
    const s = 1 / (1 + Math.exp(-1.702 * x));
    return s + (1.702 * x * s) / (1 + Math.exp(1.702 * x));
  }
  return x > 0 ? 1 : 0.01;
}

export function activationBackwardReference(
  [dy, z]: readonly Float64Array[],
  call: OpCall<ActivationAttrs>,
): Float64Array[] {
  return [z!.map((v, i) => dy![i]! * activationGradientReference(call.attrs.kind, v))];
}

export function activationOpReference(
  [x]: readonly Float64Array[],
  call: OpCall<ActivationAttrs>,
): Float64Array[] {
  return [x!.map((v) => activationReference(call.attrs.kind, v))];
}

/** The standard normal distribution function, to f64 precision also far out: JavaScript has no erf. */
export function normalCdf(x: number): number {
  const a = Math.abs(x);
  const density = Math.exp(-0.5 * a * a) / Math.sqrt(2 * Math.PI);
  if (a > 3) {
    // Mills' ratio as a continued fraction: 1 / (a + 1 / (a + 2 / (a + 3 / ...)))
    let fraction = a;
    for (let k = 60; k > 0; k--) fraction = a + k / fraction;
    const tail = density / fraction;
    return x > 0 ? 1 - tail : tail;
  }
  // Phi(a) = 1/2 + density * (a + a^3 / 3 + a^5 / (3 5) + ...)
  let term = a;
  let sum = 0;
  for (let k = 3; term > 1e-18; k += 2) {
    sum += term;
    term *= (a * a) / k;
  }
  return 0.5 + Math.sign(x) * density * sum;
}
