import { type Dtype, tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { type L2NormalizeAttrs, l2NormalizeOp } from './l2-normalize';
import { l2NormalizeReference } from './reference';

function normalizeCase(dtype: Dtype, shape: number[], bench = false): KernelCase<L2NormalizeAttrs> {
  const cols = shape.at(-1)!;
  return {
    name: `${dtype} [${shape}]`,
    inputs: [tensorType(dtype, shape)],
    attrs: { eps: 1e-12 },
    // Every row has a length of its own, and the second (if any) is zero.
    fill: (_index, length) =>
      Float64Array.from({ length }, (_, i) => {
        const row = Math.floor(i / cols);
        return row === 1 ? 0 : uniformAt(i) * (1 + (row % 7));
      }),
    bench,
  };
}

export const l2NormalizeSuite: OpSuite<L2NormalizeAttrs> = {
  op: l2NormalizeOp,
  reference: l2NormalizeReference,
  cases: [
    normalizeCase('f32', [1, 290, 768], true),
    normalizeCase('f32', [77, 129]),
    normalizeCase('f32', [768]),
    normalizeCase('f32', [50, 1]),
    normalizeCase('f32', [70000, 2]),
    normalizeCase('f16', [2, 50, 96]),
    normalizeCase('f16', [3, 7]),
  ],
};
