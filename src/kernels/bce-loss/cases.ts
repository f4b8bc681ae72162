import { tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { type BceForm, type BceLossAttrs, bceLossOp } from './bce-loss';
import { bceLossReference } from './reference';

/** Both classes, and every fifth image left out; `values` are the probabilities of class 1, without them spread over (0, 1). */
function bceCase(
  form: BceForm,
  batch: number,
  options: { scale?: number; values?: readonly number[]; note?: string; bench?: boolean } = {},
): KernelCase<BceLossAttrs> {
  const { scale = 1, values, note, bench = false } = options;
  const abnormal = (b: number) => values?.[b] ?? 0.5 + 0.49 * uniformAt(b);
  const counted = (b: number) => batch === 1 || b % 5 !== 4;
  const share = 1 / Array.from({ length: batch }, (_, b) => b).filter(counted).length;
  return {
    name: `${form} [${batch},2] scale ${scale}${note ? `, ${note}` : ''}`,
    inputs: [[batch, 2], [batch], [batch], [1]].map((shape) => tensorType('f32', shape)),
    attrs: { form },
    fill: (index, length) =>
      Float64Array.from({ length }, (_, i) => {
        if (index === 0) return i % 2 === 1 ? abnormal(i >> 1) : 1 - abnormal(i >> 1);
        if (index === 1) return Number(uniformAt(i, 7) > 0);
        return index === 2 ? (counted(i) ? share : 0) : scale;
      }),
    bench,
  };
}

export const bceLossSuite: OpSuite<BceLossAttrs> = {
  op: bceLossOp,
  reference: bceLossReference,
  cases: [
    bceCase('logits', 16, { bench: true }),
    bceCase('probability', 16, { bench: true }),
    bceCase('logits', 5, { scale: 1024 }),
    bceCase('probability', 7, { scale: 1024 }),
    bceCase('logits', 1),
    bceCase('probability', 1),
    bceCase('probability', 333, { scale: 33 }),
    bceCase('logits', 333, { scale: 33 }),
    bceCase('logits', 4, { values: [-90, 90, -3, 3], note: 'far from 0' }),
    // The logarithms' bound, and a mean that rounding left above 1. The fifth image has weight 0.
    bceCase('probability', 7, { values: [0, 1, 1 + 2 ** -20, 0, 1e30, 1, 0], note: 'certain' }),
    bceCase('probability', 5, { values: [1e-6, 1 - 1e-6, 1e-30, 1 - 2 ** -24, 0.5], note: 'nearly certain' }),
  ],
};
