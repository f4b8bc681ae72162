/** Numbers as the page writes them: as many digits everywhere, and undefined ones said as such. */
import type { Estimate } from '../../metrics/metrics';
import { text } from '../page';

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

/** A fraction in whole per cent, with a decimal only near the ends, where it matters. The space does not break. */
export function percent(value: number): string {
  const hundred = value * 100;
  const digits = hundred !== 0 && hundred !== 100 && (hundred < 1 || hundred > 99) ? 1 : 0;
  return `${hundred.toFixed(digits)}\u00a0%`;
}

/** HTML of an image's name: its folders are quieter, and it may break after a slash. */
export function imageName(path: string): string {
  const slash = path.lastIndexOf('/') + 1;
  const folder = text(path.slice(0, slash)).replaceAll('/', '/<wbr>');
  return `${folder && `<span class="folder">${folder}</span>`}${text(path.slice(slash))}`;
}
