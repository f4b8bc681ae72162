/**
 * Harmonic aggregation of window scores (WinCLIP, Jeong et al. 2023, section 4.2, eq. 2 and the mean over scales after it):
 *   1 / y[b, i, j] = mean over s of (mean over the windows of x_s that cover cell (i, j) of 1 / x_s)
 * Windows are squares at every place of a G x G grid where they fit: a tensor of N x N scores is of windows N = G - side + 1 a
 * side, so [B, 1, 1] is one window over everything (an image's score) and [B, G, G] the cells themselves.
 *
 * Operands: 1 to 3 tensors f32 [B, N, N], N <= G, values not negative. Result: y f32 [B, G, G]. A score below 1e-12 counts as
 * 1e-12, so a zero gives (nearly) zero and no infinity.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op, Operand } from '../../runtime/op';
import { describe, sizeOf, tensorType } from '../../runtime/tensor-type';
import wgsl from './window_harmonic.wgsl';

export interface WindowHarmonicAttrs {
  /** Cells a side, G. */
  readonly grid: number;
}

/** The least score that is told from zero. */
export const LEAST_SCORE = 1e-12;

const MOST = 3;

export const windowHarmonicOp: Op<WindowHarmonicAttrs> = {
  name: 'window_harmonic',

  infer(xs, { grid }) {
    const [first] = xs;
    if (!first || xs.length > MOST) {
      throw new ShapeError(`window_harmonic takes 1 to ${MOST} tensors, not ${xs.length}.`);
    }
    for (const x of xs) {
      const [batch, rows, columns] = x.shape as [number, number, number];
      if (x.dtype !== 'f32' || x.shape.length !== 3 || rows !== columns || batch !== first.shape[0]) {
        throw new ShapeError(`window_harmonic: scores must be f32 [B, N, N] of one B, not ${describe(x)}.`);
      }
      if (!Number.isSafeInteger(grid) || rows > grid) {
        throw new ShapeError(`window_harmonic: ${rows} windows a side do not fit a grid of ${grid}.`);
      }
    }
    return [tensorType('f32', [first.shape[0]!, grid, grid])];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, outputs, attrs }, caps) {
        const count = sizeOf(outputs[0]!);
        const bindings: Record<string, Operand> = { y: { output: 0 } };
        const constants: Record<string, number> = { COUNT: count, G: attrs.grid, LEAST: LEAST_SCORE };
        inputs.forEach((x, i) => {
          bindings[`x${i}`] = { input: i };
          constants[`N${i}`] = x.shape[1]!;
        });
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'window_harmonic', wgsl },
              constants,
              flags: inputs.slice(1).map((_, i) => `X${i + 1}`),
              bindings,
              workgroups: foldGrid(Math.ceil(count / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  // Each window is read by the cells that it covers.
  flops: ({ inputs, attrs }) =>
    inputs.reduce((sum, x) => sum + 3 * sizeOf(x) * (attrs.grid - x.shape[1]! + 1) ** 2, 0),
};

/** Harmonic mean over covering windows and over sizes; 1 to 3 tensors f32 [B, N, N] -> f32 [B, grid, grid]. */
export function windowHarmonic(g: Graph, scores: readonly Tensor[], grid: number): Tensor {
  return g.apply(windowHarmonicOp, scores, { grid })[0]!;
}
