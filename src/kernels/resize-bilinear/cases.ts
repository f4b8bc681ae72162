import { tensorType } from '../../runtime/tensor-type';
import type { KernelCase, OpSuite } from '../suite';
import { resizeBilinearBackwardReference, resizeBilinearReference } from './reference';
import { type ResizeBilinearAttrs, resizeBilinearOp } from './resize-bilinear';
import { type ResizeBilinearBackwardAttrs, resizeBilinearBackwardOp } from './resize-bilinear-backward';

function resizeCase(
  shape: readonly [number, number, number, number],
  height: number,
  width: number,
  bench = false,
): KernelCase<ResizeBilinearAttrs> {
  return {
    name: `f32 [${shape}] to ${height}x${width}`,
    inputs: [tensorType('f32', shape)],
    attrs: { height, width },
    bench,
  };
}

function halvedCase(
  shape: readonly [number, number, number, number],
  height: number,
  width: number,
): KernelCase<ResizeBilinearAttrs> {
  return {
    name: `f32 [${shape}] to ${height}x${width}, corners halved`,
    inputs: [tensorType('f32', shape)],
    attrs: { height, width, corners: 'halved' },
    differentiable: [],
  };
}

export const resizeBilinearSuite: OpSuite<ResizeBilinearAttrs> = {
  op: resizeBilinearOp,
  reference: resizeBilinearReference,
  differentiable: [0],
  cases: [
    resizeCase([1, 17, 17, 2], 240, 240, true),
    resizeCase([2, 7, 5, 3], 29, 50),
    resizeCase([2, 9, 11, 1], 4, 3), // smaller
    resizeCase([1, 5, 5, 2], 5, 5),
    resizeCase([2, 1, 1, 2], 3, 4),
    resizeCase([1, 6, 7, 2], 1, 1),
    resizeCase([1, 3, 1, 1], 1, 5),
    halvedCase([2, 17, 17, 1], 100, 240),
    halvedCase([2, 9, 11, 3], 4, 3), // smaller
    halvedCase([1, 5, 5, 2], 5, 5),
    halvedCase([2, 1, 2, 2], 3, 1),
  ],
};

export const resizeBilinearBackwardSuite: OpSuite<ResizeBilinearBackwardAttrs> = {
  op: resizeBilinearBackwardOp,
  reference: resizeBilinearBackwardReference,
  // dy's shape to the size of x.
  cases: [
    resizeCase([1, 240, 240, 2], 17, 17, true),
    resizeCase([2, 29, 50, 3], 7, 5),
    resizeCase([2, 4, 3, 1], 9, 11), // forward made it smaller
    resizeCase([1, 5, 5, 2], 5, 5),
    resizeCase([2, 3, 4, 2], 1, 1),
    resizeCase([1, 1, 1, 2], 6, 7),
    resizeCase([1, 1, 5, 1], 3, 1),
    resizeCase([1, 2, 3000, 1], 2, 2), // long sums
    resizeCase([1, 2, 65535, 1], 1, 1),
    resizeCase([1, 65535, 1, 1], 65534, 1), // products near 2^32
  ],
};
