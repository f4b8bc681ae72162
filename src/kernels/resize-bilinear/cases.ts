import { tensorType } from '../../runtime/tensor-type';
import type { KernelCase, OpSuite } from '../suite';
import { resizeBilinearReference } from './reference';
import { type ResizeBilinearAttrs, resizeBilinearOp } from './resize-bilinear';

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

export const resizeBilinearSuite: OpSuite<ResizeBilinearAttrs> = {
  op: resizeBilinearOp,
  reference: resizeBilinearReference,
  cases: [
    resizeCase([1, 17, 17, 2], 240, 240, true),
    resizeCase([2, 7, 5, 3], 29, 50),
    resizeCase([2, 9, 11, 1], 4, 3), // smaller
    resizeCase([1, 5, 5, 2], 5, 5),
    resizeCase([2, 1, 1, 2], 3, 4),
    resizeCase([1, 6, 7, 2], 1, 1),
    resizeCase([1, 3, 1, 1], 1, 5),
  ],
};
