/**
 * Weighted sum, elementwise: y = sum_i c_i x_i. With three terms it is what MLA-LP's next stage sees (eq. 4,
 * y = gamma x + alpha a + beta b); with one term it scales, with factors of 1 it adds.
 *
 * Operands: 1 to 7 tensors f32|f16 of one type (with the result, the eight storage buffers that every device has). Result: y
 * like them, summed in f32.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op, Operand } from '../../runtime/op';
import { describe, sizeOf } from '../../runtime/tensor-type';
import wgsl from './weighted_sum.wgsl';

export interface WeightedSumAttrs {
  /** One factor a term. */
  readonly factors: readonly number[];
}

/** Terms that one dispatch can take. */
export const MOST_TERMS = 7;

export const weightedSumOp: Op<WeightedSumAttrs> = {
  name: 'weighted_sum',

  infer(xs, { factors }) {
    const [first] = xs;
    if (!first || xs.length > MOST_TERMS || factors.length !== xs.length) {
      throw new ShapeError(
        `weighted_sum takes 1 to ${MOST_TERMS} tensors and as many factors, not ${xs.length} and ${factors.length}.`,
      );
    }
    if (first.dtype === 'u32' || xs.some((x) => describe(x) !== describe(first))) {
      throw new ShapeError('weighted_sum: all tensors must be of one floating-point type.');
    }
    if (!factors.every(Number.isFinite)) {
      throw new ShapeError(`weighted_sum: the factors ${factors.join(', ')} must be finite.`);
    }
    return [first];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, attrs }, caps) {
        const count = sizeOf(inputs[0]!);
        const bindings: Record<string, Operand> = { y: { output: 0 } };
        const constants: Record<string, number> = { COUNT: count };
        inputs.forEach((_, i) => {
          bindings[`x${i}`] = { input: i };
          constants[`C${i}`] = attrs.factors[i]!;
        });
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'weighted_sum', wgsl },
              constants,
              types: { T: inputs[0]!.dtype },
              flags: inputs.slice(1).map((_, i) => `X${i + 1}`),
              bindings,
              workgroups: foldGrid(Math.ceil(count / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: ({ inputs }) => 2 * inputs.length * sizeOf(inputs[0]!),

  // y is linear: dL/dx_i = c_i dL/dy.
  backward({ graph, attrs, outputGradients: [dy], needed }) {
    const scaled = new Map<number, Tensor>([[1, dy!]]);
    return attrs.factors.map((factor, i) => {
      if (!needed[i]) return undefined;
      const gradient = scaled.get(factor) ?? weightedSum(graph, [dy!], [factor]);
      scaled.set(factor, gradient);
      return gradient;
    });
  },
};

/** y = sum_i factors[i] terms[i]; 1 to 7 terms of one shape and type. */
export function weightedSum(g: Graph, terms: readonly Tensor[], factors: readonly number[]): Tensor {
  return g.apply(weightedSumOp, terms, { factors })[0]!;
}

/** Sum of any number of tensors of one type, as gradients need it. */
export function addAll(g: Graph, terms: readonly Tensor[]): Tensor {
  const first = terms.slice(0, MOST_TERMS);
  const sum =
    first.length === 1
      ? first[0]!
      : weightedSum(
          g,
          first,
          first.map(() => 1),
        );
  return terms.length > MOST_TERMS ? addAll(g, [sum, ...terms.slice(MOST_TERMS)]) : sum;
}
