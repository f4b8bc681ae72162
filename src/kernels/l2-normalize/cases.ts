import { type Dtype, tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { type L2NormalizeAttrs, l2NormalizeOp } from './l2-normalize';
import { l2NormalizeBackwardOp } from './l2-normalize-backward';
import { l2NormalizeBackwardReference, l2NormalizeReference } from './reference';

function normalizeCase(
  dtype: Dtype,
  shape: number[],
  options: { bench?: boolean; differentiable?: readonly number[] } = {},
): KernelCase<L2NormalizeAttrs> {
  const { bench = false, differentiable = shape.length > 1 ? [] : [0] } = options;
  const cols = shape.at(-1)!;
  return {
    name: `${dtype} [${shape}]`,
    inputs: [tensorType(dtype, shape)],
    attrs: { eps: 1e-12 },
    // Around the zero row there is no derivative that a difference could find.
    differentiable,
    // Every row has a length of its own, and the second (if any) is zero.
    fill: (_index, length) =>
      Float64Array.from({ length }, (_, i) => {
        const row = Math.floor(i / cols);
        return row === 1 ? 0 : uniformAt(i) * (1 + (row % 7));
      }),
    bench,
  };
}

/** Row 1 (if any) is shorter than eps, the others longer. */
function clampedCase(
  dtype: Dtype,
  shape: number[],
  operands = 1,
  bench = false,
): KernelCase<L2NormalizeAttrs> {
  const cols = shape.at(-1)!;
  const away = (u: number) => (u < 0 ? u - 1 : u + 1);
  return {
    name: `${dtype} [${shape}], row 1 below eps`,
    inputs: Array.from({ length: operands }, () => tensorType(dtype, shape)),
    attrs: { eps: 0.5 },
    fill: (index, length) =>
      index === 0
        ? Float64Array.from({ length }, (_, i) =>
            Math.floor(i / cols) === 1 ? uniformAt(i) / (4 * cols) : away(uniformAt(i)),
          )
        : undefined,
    bench,
  };
}

export const l2NormalizeSuite: OpSuite<L2NormalizeAttrs> = {
  op: l2NormalizeOp,
  reference: l2NormalizeReference,
  differentiable: [0],
  cases: [
    normalizeCase('f32', [1, 290, 768], { bench: true }),
    normalizeCase('f32', [77, 129]),
    normalizeCase('f32', [768]),
    normalizeCase('f32', [50, 1]),
    clampedCase('f32', [5, 33]),
    clampedCase('f32', [3, 7]),
    normalizeCase('f32', [70000, 2]),
    normalizeCase('f16', [2, 50, 96]),
    normalizeCase('f16', [3, 7]),
  ],
};

/** Every row but the second of [2, C], which is zero, has a length of its own. */
function zeroRowCase(cols: number): KernelCase<L2NormalizeAttrs> {
  const type = tensorType('f32', [2, cols]);
  return {
    name: `f32 [2,${cols}], row 1 zero`,
    inputs: [type, type],
    attrs: { eps: 1e-12 },
    fill: (index, length) =>
      index === 0 ? Float64Array.from({ length }, (_, i) => (i < cols ? uniformAt(i) : 0)) : undefined,
  };
}

export const l2NormalizeBackwardSuite: OpSuite<L2NormalizeAttrs> = {
  op: l2NormalizeBackwardOp,
  reference: l2NormalizeBackwardReference,
  cases: [
    clampedCase('f32', [1, 290, 768], 2, true),
    clampedCase('f32', [77, 129], 2),
    clampedCase('f32', [768], 2),
    clampedCase('f32', [50, 1], 2),
    clampedCase('f32', [70000, 2], 2),
    clampedCase('f32', [3, 7], 2),
    zeroRowCase(65),
    clampedCase('f16', [2, 50, 96], 2),
    clampedCase('f16', [3, 7], 2),
  ],
};
