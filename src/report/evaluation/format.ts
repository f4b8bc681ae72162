/** Numbers as the page writes them: as many digits everywhere, and undefined ones said as such. */
import type { Estimate } from '../../metrics/metrics';

export const UNDEFINED = 'undefined';

/** A fraction with three decimals. */
export function fraction(value: number): string {
  return Number.isFinite(value) ? value.toFixed(3) : UNDEFINED;
}

export function interval({ low, high }: Estimate): string {
  return Number.isFinite(low) && Number.isFinite(high) ? `${low.toFixed(3)} to ${high.toFixed(3)}` : 'none';
}

/** A score or a threshold of scores, whose unit is the method's own. */
export function score(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return 'above all scores';
  if (!Number.isFinite(value)) return 'invalid';
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(3) : value.toFixed(4);
}

/** A fraction in whole per cent, with a decimal only near the ends, where it matters. */
export function percent(value: number): string {
  const hundred = value * 100;
  const digits = hundred !== 0 && hundred !== 100 && (hundred < 1 || hundred > 99) ? 1 : 0;
  return `${hundred.toFixed(digits)} %`;
}
