import { type Dtype, tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { type CosineLogitsAttrs, cosineLogitsOp } from './cosine-logits';
import { cosineLogitsReference } from './reference';

function cosineCase(
  dtype: Dtype,
  [b, n, c]: readonly [number, number, number],
  k: number,
  options: Partial<CosineLogitsAttrs> & { bench?: boolean } = {},
): KernelCase<CosineLogitsAttrs> {
  const { scale = 100, skip = 1, bench = false } = options;
  return {
    name: `${dtype} [${b},${n},${c}] x [${k},${c}], scale ${scale}, skip ${skip}`,
    inputs: [tensorType(dtype, [b, n, c]), tensorType('f32', [k, c])],
    attrs: { scale, skip },
    fill: (index, length) =>
      Float64Array.from({ length }, (_, i) =>
        // Tokens of different lengths that lean towards text row 0, so that some cosines are large; text rows near length 1.
        index === 0
          ? (uniformAt(i) + uniformAt(i % c, 5)) * (1 + (Math.floor(i / c) % 5))
          : uniformAt(i, 5) * Math.sqrt(3 / c),
      ),
    bench,
  };
}

export const cosineLogitsSuite: OpSuite<CosineLogitsAttrs> = {
  op: cosineLogitsOp,
  reference: cosineLogitsReference,
  cases: [
    cosineCase('f32', [1, 290, 768], 2, { bench: true }),
    cosineCase('f32', [3, 50, 65], 2),
    cosineCase('f32', [2, 5, 33], 16, { skip: 0, scale: 1 }),
    cosineCase('f32', [2, 7, 96], 17, { skip: 2 }),
    cosineCase('f32', [1, 2, 1], 1),
    cosineCase('f16', [2, 50, 96], 2),
    cosineCase('f16', [3, 3, 7], 3),
  ],
};
