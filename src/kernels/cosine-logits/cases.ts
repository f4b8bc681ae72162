import { type Dtype, tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { type CosineLogitsAttrs, cosineLogitsOp } from './cosine-logits';
import { cosineLogitsBackwardFeaturesOp, cosineLogitsBackwardTextOp } from './cosine-logits-backward';
import {
  cosineLogitsBackwardFeaturesReference,
  cosineLogitsBackwardTextReference,
  cosineLogitsReference,
} from './reference';

type CaseOptions = Partial<CosineLogitsAttrs> & { readonly bench?: boolean };

function cosineCase(
  dtype: Dtype,
  [b, n, c]: readonly [number, number, number],
  k: number,
  options: CaseOptions = {},
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
  differentiable: [0, 1],
  cases: [
    cosineCase('f32', [1, 290, 768], 2, { bench: true }),
    cosineCase('f32', [3, 50, 65], 2),
    cosineCase('f32', [2, 5, 33], 16, { skip: 0, scale: 1 }),
    cosineCase('f32', [2, 7, 96], 17, { skip: 2 }),
    // One column: a token's cosine is 1 or -1 whatever its length, so its derivative is rounding.
    { ...cosineCase('f32', [1, 2, 1], 1), differentiable: [1] },
    cosineCase('f16', [2, 50, 96], 2),
    cosineCase('f16', [3, 3, 7], 3),
  ],
};

type Size = readonly [number, number, number];

/** Operands of the gradients; with `tiny`, token 1 is shorter than the clamp. */
function backwardCase(
  kind: 'features' | 'text',
  dtype: Dtype,
  size: Size,
  k: number,
  options: CaseOptions & { readonly tiny?: boolean } = {},
): KernelCase<CosineLogitsAttrs> {
  const [b, n, c] = size;
  const { name, attrs, inputs, fill, bench } = cosineCase(dtype, size, k, { scale: 10, ...options });
  const dy = tensorType('f32', [b, n - attrs.skip, k]);
  const [features, text] = inputs;
  const shortened = (values: Float64Array) =>
    values.map((v, i) => (options.tiny && Math.floor(i / c) === 1 ? v * 1e-13 : v));
  const parts = kind === 'features' ? [features!, text!, dy] : [features!, dy];
  return {
    name: `${name}${options.tiny ? ', token 1 below the clamp' : ''}`,
    attrs,
    inputs: parts,
    fill: (index, length) => {
      if (index === 0) return shortened(fill!(0, length) as Float64Array);
      return kind === 'features' && index === 1 ? fill!(1, length) : undefined;
    },
    ...(bench && { bench }),
  };
}

export const cosineLogitsBackwardFeaturesSuite: OpSuite<CosineLogitsAttrs> = {
  op: cosineLogitsBackwardFeaturesOp,
  reference: cosineLogitsBackwardFeaturesReference,
  cases: [
    backwardCase('features', 'f32', [1, 290, 768], 2, { scale: 100, bench: true }),
    backwardCase('features', 'f32', [3, 50, 65], 2),
    backwardCase('features', 'f32', [2, 5, 33], 16, { skip: 0, scale: 1 }),
    backwardCase('features', 'f32', [2, 7, 96], 17, { skip: 2 }),
    backwardCase('features', 'f32', [1, 2, 3], 1),
    backwardCase('features', 'f32', [2, 3, 5], 2, { tiny: true }),
    backwardCase('features', 'f16', [2, 50, 96], 2, { scale: 1 }),
    backwardCase('features', 'f16', [3, 3, 7], 3, { scale: 1 }),
  ],
};

export const cosineLogitsBackwardTextSuite: OpSuite<CosineLogitsAttrs> = {
  op: cosineLogitsBackwardTextOp,
  reference: cosineLogitsBackwardTextReference,
  cases: [
    backwardCase('text', 'f32', [8, 290, 768], 2, { bench: true }),
    backwardCase('text', 'f32', [3, 50, 65], 2),
    backwardCase('text', 'f32', [23, 50, 7], 2), // 36 blocks: more than one sum of 32
    backwardCase('text', 'f32', [2, 5, 33], 16, { skip: 0, scale: 1 }),
    backwardCase('text', 'f32', [2, 7, 96], 17, { skip: 2 }),
    backwardCase('text', 'f32', [1, 2, 1], 1),
    backwardCase('text', 'f32', [2, 3, 5], 2, { tiny: true }),
    backwardCase('text', 'f16', [2, 50, 96], 2),
    backwardCase('text', 'f16', [3, 3, 7], 3),
  ],
};
