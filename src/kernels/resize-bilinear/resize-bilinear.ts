/**
 * Bilinear resize (torch.nn.functional.interpolate(mode='bilinear')), channels last: along each axis output i reads
 *   y = (1 - f) x[floor s] + f x[floor s + 1], f = s - floor s, at the source
 *   s = i (in - 1) / (out - 1)                   corners `aligned` (align_corners=True); an output size of 1 reads source 0
 *   s = max((i + 1/2) in / out - 1/2, 0)         corners `halved` (align_corners=False): pixels are areas
 * and what lies past the last source repeats it.
 *
 * Operand: x f32 [B, h, w, K]. Result: y f32 [B, H, W, K]. Sizes up to 65535, `halved` up to 32767. `halved` has no backward.
 */
import { foldGrid } from '../../runtime/capabilities';
import { MlaLpError, ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { describe, sizeOf, tensorType } from '../../runtime/tensor-type';
import wgsl from './resize_bilinear.wgsl';
import tap from './resize_tap.wgsl';
import halvedTap from './resize_tap_halved.wgsl';
import { resizeBilinearBackward } from './resize-bilinear-backward';

/** Largest sides: the kernels multiply two sizes (`halved`: and two) in 32 bits. */
const MOST = { aligned: 65535, halved: 32767 } as const;

export interface ResizeBilinearAttrs {
  readonly height: number;
  readonly width: number;
  /** `aligned` unless told. */
  readonly corners?: keyof typeof MOST;
}

export const resizeBilinearOp: Op<ResizeBilinearAttrs> = {
  name: 'resize_bilinear',

  infer([x], { height, width, corners = 'aligned' }) {
    if (x?.dtype !== 'f32' || x.shape.length !== 4) {
      throw new ShapeError(`resize_bilinear takes x f32 [B, h, w, K], not ${x ? describe(x) : 'nothing'}.`);
    }
    const [batch, h, w, channels] = x.shape as [number, number, number, number];
    const most = MOST[corners];
    if (Math.max(h, w, height, width) > most) {
      throw new ShapeError(
        `resize_bilinear: sides are at most ${most}, not ${h}x${w} to ${height}x${width}.`,
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
              kernel: {
                name: 'resize_bilinear',
                wgsl,
                includes: { tap: attrs.corners === 'halved' ? halvedTap : tap },
              },
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
  backward({ graph, attrs, inputTypes, outputGradients: [dy] }) {
    if (attrs.corners === 'halved') {
      throw new MlaLpError(
        'bad-value',
        'A resize with halved corners has no backward.',
        'Align the corners.',
      );
    }
    const [, height, width] = inputTypes[0]!.shape as [number, number, number, number];
    return [resizeBilinearBackward(graph, dy!, height, width)];
  },
};

/** Bilinear, corners `aligned` unless told; x f32 [B, h, w, K] -> f32 [B, height, width, K]. */
export function resizeBilinear(
  g: Graph,
  x: Tensor,
  height: number,
  width: number,
  corners: keyof typeof MOST = 'aligned',
): Tensor {
  return g.apply(resizeBilinearOp, [x], { height, width, corners })[0]!;
}
