/**
 * Gradient of a bilinear resize with aligned corners (see resize-bilinear.ts): each input cell sums what the outputs whose taps
 * touch it pass back, dx[r, c] = sum_i sum_j a[i, r] b[j, c] dy[i, j] with the shares a, b of forward's taps. The shares are
 * products, so the sum runs along columns first and along rows then.
 *
 * Operand: dy f32 [B, H, W, K]. Result: dx f32 [B, height, width, K]. Sizes up to 65535.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Dispatch, Op, Operand } from '../../runtime/op';
import { describe, sizeOf, tensorType } from '../../runtime/tensor-type';
import wgsl from './resize_bilinear_backward.wgsl';
import tap from './resize_tap.wgsl';

const MOST = 65535; // the kernel multiplies two sizes in 32 bits

export interface ResizeBilinearBackwardAttrs {
  /** Size of forward's operand. */
  readonly height: number;
  readonly width: number;
}

export const resizeBilinearBackwardOp: Op<ResizeBilinearBackwardAttrs> = {
  name: 'resize_bilinear_backward',

  infer([dy], { height, width }) {
    if (dy?.dtype !== 'f32' || dy.shape.length !== 4) {
      throw new ShapeError(
        `resize_bilinear_backward takes dy f32 [B, H, W, K], not ${dy ? describe(dy) : 'nothing'}.`,
      );
    }
    const [batch, h, w, channels] = dy.shape as [number, number, number, number];
    if (Math.max(h, w, height, width) > MOST) {
      throw new ShapeError(
        `resize_bilinear_backward: sides are at most ${MOST}, not ${h}x${w} to ${height}x${width}.`,
      );
    }
    return [tensorType('f32', [batch, height, width, channels])];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, outputs, attrs }, caps) {
        const [B, H, W, K] = inputs[0]!.shape as [number, number, number, number];
        const { height, width } = attrs;
        const across = tensorType('f32', [B, H, width, K]);
        const along = (
          COUNT: number,
          [SIZE_IN, SIZE_OUT, INNER]: readonly [number, number, number],
          [dy, dx]: readonly [Operand, Operand],
        ): Dispatch => ({
          kernel: { name: 'resize_bilinear_backward', wgsl, includes: { tap } },
          constants: { COUNT, SIZE_IN, SIZE_OUT, INNER },
          bindings: { dy, dx },
          workgroups: foldGrid(Math.ceil(COUNT / 64), caps),
        });
        return {
          variant: 'plain',
          scratch: [across],
          dispatches: [
            along(sizeOf(across), [width, W, K], [{ input: 0 }, { scratch: 0 }]),
            along(sizeOf(outputs[0]!), [height, H, width * K], [{ scratch: 0 }, { output: 0 }]),
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops({ inputs, attrs }) {
    const [batch, height, , channels] = inputs[0]!.shape as [number, number, number, number];
    // Every output is read by two cells along an axis.
    return 8 * (sizeOf(inputs[0]!) + batch * height * attrs.width * channels);
  },
};

/** dL/dx f32 [B, height, width, K] of a resize from dL/dy f32 [B, H, W, K]. */
export function resizeBilinearBackward(g: Graph, dy: Tensor, height: number, width: number): Tensor {
  return g.apply(resizeBilinearBackwardOp, [dy], { height, width })[0]!;
}
