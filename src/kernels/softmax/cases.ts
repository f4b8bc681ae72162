import { type Dtype, tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { softmaxReference } from './reference';
import { softmaxOp } from './softmax';

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
