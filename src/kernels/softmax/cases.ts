import { type Dtype, tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { softmaxBackwardReference, softmaxReference } from './reference';
import { softmaxOp } from './softmax';
import { softmaxBackwardOp } from './softmax-backward';

function softmaxCase(dtype: Dtype, shape: number[], bench = false): KernelCase<null> {
  const cols = shape.at(-1)!;
  return {
    name: `${dtype} [${shape}]`,
    inputs: [tensorType(dtype, shape)],
    attrs: null,
    // Rows near -128, near 0, and around 128 with a spread of 300: whatever but the maximum is subtracted, exp overflows or
    // vanishes somewhere.
    fill: (_index, length) =>
      Float64Array.from({ length }, (_, i) => {
        const kind = Math.floor(i / cols) % 3;
        return (kind === 2 ? 150 : 4) * uniformAt(i) + 128 * (kind - 1);
      }),
    bench,
  };
}

export const softmaxSuite: OpSuite<null> = {
  op: softmaxOp,
  reference: softmaxReference,
  shaped: { axes: ['...'], make: (sizes, dtype) => softmaxCase(dtype, [...sizes]) },
  differentiable: [0],
  cases: [
    softmaxCase('f32', [1, 240, 240, 2], true),
    softmaxCase('f32', [4, 290, 290], true),
    softmaxCase('f32', [3, 77, 129]),
    softmaxCase('f32', [50, 3]),
    softmaxCase('f32', [5, 1]),
    softmaxCase('f32', [70000, 2]),
    softmaxCase('f16', [3, 50, 65]),
    softmaxCase('f16', [7, 3]),
  ],
};

function backwardCase(dtype: Dtype, shape: number[], bench = false): KernelCase<null> {
  const cols = shape.at(-1)!;
  const type = tensorType(dtype, shape);
  return {
    name: `${dtype} [${shape}]`,
    inputs: [type, type],
    attrs: null,
    // y: rows of shares that sum to about 1, unequal ones.
    fill: (index, length) =>
      index === 0
        ? Float64Array.from({ length }, (_, i) => ((1 + uniformAt(i)) * (1 + (i % 3))) / (2 * cols))
        : undefined,
    bench,
  };
}

export const softmaxBackwardSuite: OpSuite<null> = {
  op: softmaxBackwardOp,
  reference: softmaxBackwardReference,
  shaped: { axes: ['...'], make: (sizes, dtype) => backwardCase(dtype, [...sizes]) },
  cases: [
    backwardCase('f32', [1, 240, 240, 2], true),
    backwardCase('f32', [4, 290, 290], true),
    backwardCase('f32', [3, 77, 129]),
    backwardCase('f32', [50, 3]),
    backwardCase('f32', [5, 1]),
    backwardCase('f32', [70000, 2]),
    backwardCase('f16', [3, 50, 65]),
    backwardCase('f16', [7, 3]),
  ],
};
