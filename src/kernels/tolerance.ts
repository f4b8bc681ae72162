/**
 * The one statement of how far a kernel may be from its float64 reference: |got - want| <= atol + rtol * |want|.
 * f32 allows for the reordering of long sums; f16 for the rounding of stored operands and results (accumulation is f32).
 */
import type { Dtype } from '../runtime/tensor-type';

export interface Tolerance {
  readonly atol: number;
  readonly rtol: number;
}

export const TOLERANCE: Record<Dtype, Tolerance> = {
  f32: { atol: 2e-5, rtol: 2e-5 },
  f16: { atol: 4e-3, rtol: 4e-3 },
  u32: { atol: 0, rtol: 0 },
};

/** The first element out of tolerance, or undefined. NaN never passes. */
export function firstMismatch(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  { atol, rtol }: Tolerance,
): { index: number; got: number; want: number } | undefined {
  if (got.length !== want.length) return { index: -1, got: got.length, want: want.length };
  for (let i = 0; i < want.length; i++) {
    const w = want[i]!;
    const g = got[i]!;
    if (!(Math.abs(g - w) <= atol + rtol * Math.abs(w))) return { index: i, got: g, want: w };
  }
  return undefined;
}
