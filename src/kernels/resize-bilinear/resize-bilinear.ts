/**
 * Bilinear resize with aligned corners (torch.nn.functional.interpolate(mode='bilinear', align_corners=True)), channels last:
 * along each axis output i reads source s = i (in - 1) / (out - 1), y = (1 - f) x[floor s] + f x[floor s + 1], f = s - floor s.
 * An output size of 1 reads source 0; an input size of 1 is repeated.
 *
 * Operand: x f32 [B, h, w, K]. Result: y f32 [B, H, W, K]. Sizes up to 65535.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { describe, sizeOf, tensorType } from '../../runtime/tensor-type';
import wgsl from './resize_bilinear.wgsl';
import tap from './resize_tap.wgsl';
import { resizeBilinearBackward } from './resize-bilinear-backward';

const MOST = 65535; // the kernel multiplies two sizes in 32 bits

export interface ResizeBilinearAttrs {
  readonly height: number;
  readonly width: number;
}

export const resizeBilinearOp: Op<ResizeBilinearAttrs> = {
  name: 'resize_bilinear',

  infer([x], { height, width }) {
    if (x?.dtype !== 'f32' || x.shape.length !== 4) {
      throw new ShapeError(`resize_bilinear takes x f32 [B, h, w, K], not ${x ? describe(x) : 'nothing'}.`);
    }
    const [batch, h, w, channels] = x.shape as [number, number, number, number];
    if (Math.max(h, w, height, width) > MOST) {
      throw new ShapeError(
        `resize_bilinear: sides are at most ${MOST}, not ${h}x${w} to ${height}x${width}.`,
      );
    }
    return [tensorType('f32', [batch, height, width, channels])];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, outputs, attrs }, caps) {
        const [, H_IN, W_IN, K] = inputs[0]!.shape as [number, number, number, number];
        const count = sizeOf(outputs[0]!);
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'resize_bilinear', wgsl, includes: { tap } },
              constants: { COUNT: count, K, H_IN, W_IN, H_OUT: attrs.height, W_OUT: attrs.width },
              bindings: { x: { input: 0 }, y: { output: 0 } },
              workgroups: foldGrid(Math.ceil(count / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: ({ outputs }) => 9 * sizeOf(outputs[0]!),

  // y is linear: an output passes to each of its four taps the share that it took from it.
  backward({ graph, inputTypes, outputGradients: [dy] }) {
    const [, height, width] = inputTypes[0]!.shape as [number, number, number, number];
    return [resizeBilinearBackward(graph, dy!, height, width)];
  },
};

/** Bilinear, corners aligned; x f32 [B, h, w, K] -> f32 [B, height, width, K]. */
export function resizeBilinear(g: Graph, x: Tensor, height: number, width: number): Tensor {
  return g.apply(resizeBilinearOp, [x], { height, width })[0]!;
}
