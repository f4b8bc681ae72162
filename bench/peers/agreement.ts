/** How far two engines' results may lie apart, and how far they do. */
import type { Precision } from '../../src/runtime/device';
import { type GemmWork, gemmWeight, operandOf, sizesOf, type Work } from './workloads';

/**
 * Largest difference that passes, as a share of the largest magnitude in our result. In f32: 1e-3. In f16 engines may add in f16
 * (ONNX Runtime 1.30.0 does), which rounds by up to 2^-11 a step; over a sum of n terms these errors grow as a random walk, sqrt(n).
 * A block is judged by its longest sum, a tower, whose blocks add up in the residual stream, by twice that.
 */
export function toleranceOf(work: Work, dtype: Precision): number {
  if (dtype === 'f32') return F32_TOLERANCE;
  const terms = work.kind === 'gemm' ? work.depth : sizesOf(work).mlp;
  const walk = Math.sqrt(terms) / 2048;
  return Math.max(F32_TOLERANCE, work.kind === 'tower' ? 2 * walk : walk);
}

const F32_TOLERANCE = 1e-3;

/** max |a - b| / max |b|; infinity for another length, NaN or infinity. */
export function relativeError(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let magnitude = 0;
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i]! - b[i]!);
    if (!Number.isFinite(d)) return Number.POSITIVE_INFINITY;
    if (d > difference) difference = d;
    const m = Math.abs(b[i]!);
    if (m > magnitude) magnitude = m;
  }
  return difference === 0 ? 0 : difference / magnitude;
}

const SAMPLES = 512;

/** Elements of a GEMM's result, spread over it, against sums in float64: largest difference over the largest magnitude. */
export function sampledGemmError(y: Float32Array, work: GemmWork): number {
  const { rows, depth, columns } = work;
  if (y.length !== rows * columns) return Number.POSITIVE_INFINITY;
  const { values: x } = operandOf(work);
  const w = gemmWeight(work);
  const want = new Float32Array(SAMPLES);
  const have = new Float32Array(SAMPLES);
  for (let s = 0; s < SAMPLES; s++) {
    // The last element is one of them, and no tile size divides the step.
    const at = Math.floor((s * (y.length - 1)) / (SAMPLES - 1));
    const [row, column] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let k = 0; k < depth; k++) sum += x[row * depth + k]! * w[k * columns + column]!;
    want[s] = sum;
    have[s] = y[at]!;
  }
  return relativeError(have, want);
}
