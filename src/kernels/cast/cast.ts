/**
 * Bits of floating-point numbers in the other type: binary16 widened to f32 (exact), f32 rounded to binary16 (to the nearest, ties to
 * even; overflow gives infinity). NaN stays NaN; its other bits may change. IEEE 754-2019, 5.4.2; `runtime/float16.ts` does the same
 * on the host, bit for bit.
 *
 * Operand: x u32 [N], N even for f16: two binary16 numbers a word, the first in the low half, or one f32. Result: y u32 [2 N] of f32, or
 * u32 [N / 2] of two binary16 numbers a word. As whole numbers, so that a device without f16 can widen, and no bit depends on one.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { KernelSource, Op } from '../../runtime/op';
import { describe, tensorType } from '../../runtime/tensor-type';
import toF16 from './cast_to_f16.wgsl';
import toF32 from './cast_to_f32.wgsl';

export interface CastAttrs {
  readonly to: 'f32' | 'f16';
}

const KERNELS: Readonly<Record<CastAttrs['to'], KernelSource>> = {
  f32: { name: 'cast_to_f32', wgsl: toF32 },
  f16: { name: 'cast_to_f16', wgsl: toF16 },
};

export const castOp: Op<CastAttrs> = {
  name: 'cast',

  infer([x], { to }) {
    const [count, ...rest] = x?.shape ?? [];
    if (x?.dtype !== 'u32' || count === undefined || rest.length > 0 || (to === 'f16' && count % 2 !== 0)) {
      const words = to === 'f16' ? 'an even number of words' : 'words';
      throw new ShapeError(`cast to ${to} takes ${words} u32 [N], not ${x ? describe(x) : 'nothing'}.`);
    }
    return [tensorType('u32', [to === 'f16' ? count / 2 : count * 2])];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, attrs: { to } }, caps) {
        const pairs = inputs[0]!.shape[0]! / (to === 'f16' ? 2 : 1);
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: KERNELS[to],
              bindings: { x: { input: 0 }, y: { output: 0 } },
              workgroups: foldGrid(Math.ceil(pairs / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: () => 0,
};

/** Bits in the other type, see `castOp`. x u32 [N] -> u32 [2 N] (f32) or [N / 2] (f16). */
export function cast(g: Graph, x: Tensor, to: CastAttrs['to']): Tensor {
  return g.apply(castOp, [x], { to })[0]!;
}
