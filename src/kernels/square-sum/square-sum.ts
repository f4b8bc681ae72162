/**
 * Sum of the squares of a gradient, and whether all of it is finite: norms[index] = sum_i x_i^2, in place.
 *
 * Operands: norms f32 [n], a weight, of which one element changes; x f32, of any shape. attrs: index of the element. An
 * effect: no results. Sums are blocked on two levels (no atomics), so the result repeats bit by bit.
 *
 * Where an element is NaN or infinite, norms[index] = -1. WGSL promises nothing about comparisons with NaN, so the bits are
 * looked at; magnitudes of 2^48 (2.8e14) and more count as infinite too, so that no sum of squares can overflow. Elements
 * below 1e-19 add nothing: their squares are no f32.
 */
import { type Capabilities, foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Dispatch, Lowering, Op, OpCall } from '../../runtime/op';
import { describe, sizeOf, tensorType } from '../../runtime/tensor-type';
import plainWgsl from './square_sum_plain.wgsl';
import workgroupWgsl from './square_sum_workgroup.wgsl';

export interface SquareSumAttrs {
  readonly index: number;
}

/** Partial sums of x, then their sum: the same kernel twice. */
function lowering(
  { inputs, attrs }: OpCall<SquareSumAttrs>,
  caps: Capabilities,
  kernel: { readonly variant: string; readonly wgsl: string; readonly partsPerWorkgroup: number },
  parts: number,
): Lowering {
  const level = (count: number, sums: number, first: boolean): Dispatch => ({
    kernel: { name: `square_sum_${kernel.variant}`, wgsl: kernel.wgsl },
    constants: { COUNT: count, PARTS: sums, FIRST: first ? 0 : attrs.index },
    flags: first ? ['SQUARE'] : [],
    bindings: first ? { x: { input: 1 }, y: { scratch: 0 } } : { x: { scratch: 0 }, y: { input: 0 } },
    workgroups: foldGrid(Math.ceil(sums / kernel.partsPerWorkgroup), caps),
  });
  return {
    variant: kernel.variant,
    scratch: [tensorType('f32', [parts])],
    dispatches: [level(sizeOf(inputs[1]!), parts, true), level(parts, 1, false)],
  };
}

export const squareSumOp: Op<SquareSumAttrs> = {
  name: 'square_sum',
  writes: [0],

  infer(inputs, { index }) {
    const [norms, x] = inputs;
    if (inputs.length !== 2 || norms!.dtype !== 'f32' || norms!.shape.length !== 1 || x!.dtype !== 'f32') {
      throw new ShapeError(
        `square_sum takes norms f32 [n] and x f32, not ${inputs.map(describe).join(', ')}.`,
      );
    }
    if (!Number.isSafeInteger(index) || index < 0 || index >= norms!.shape[0]!) {
      throw new ShapeError(`square_sum: ${describe(norms!)} has no element ${index}.`);
    }
    return [];
  },

  variants: [
    {
      name: 'plain',
      lower(call, caps) {
        const parts = Math.ceil(Math.sqrt(sizeOf(call.inputs[1]!)));
        return lowering(call, caps, { variant: 'plain', wgsl: plainWgsl, partsPerWorkgroup: 64 }, parts);
      },
    },
    {
      name: 'workgroup',
      lower(call, caps) {
        // At least eight elements an invocation; a workgroup can then add all parts.
        const parts = Math.min(256, Math.ceil(sizeOf(call.inputs[1]!) / 2048));
        const kernel = { variant: 'workgroup', wgsl: workgroupWgsl, partsPerWorkgroup: 1 };
        return lowering(call, caps, kernel, parts);
      },
    },
  ],

  choose: ({ inputs }, caps) => (caps.software || sizeOf(inputs[1]!) < 256 ? 'plain' : 'workgroup'),

  flops: ({ inputs }) => 2 * sizeOf(inputs[1]!),
};

/** norms[index] = sum of the squares of x, or -1 where x is not finite; in place. */
export function squareSum(g: Graph, norms: Tensor, x: Tensor, index: number): void {
  g.apply(squareSumOp, [norms, x], { index });
}
