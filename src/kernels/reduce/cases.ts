import { type Dtype, tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { type ReduceAttrs, type ReduceKind, reduceOp } from './reduce';
import { type ReduceBackwardAttrs, reduceBackwardOp } from './reduce-backward';
import { reduceBackwardReference, reduceReference } from './reference';

type Fill = KernelCase<ReduceAttrs>['fill'];

function reduceCase(
  kind: ReduceKind,
  dtype: Dtype,
  shape: number[],
  axis: number,
  options: { bench?: boolean; fill?: Fill; note?: string } = {},
): KernelCase<ReduceAttrs> {
  const { note, fill, bench = false } = options;
  return {
    name: `${kind} ${dtype} [${shape}] axis ${axis}${note ? `, ${note}` : ''}`,
    inputs: [tensorType(dtype, shape)],
    attrs: { axis, kind },
    ...(fill && { fill }),
    ...((kind === 'max' || kind === 'softmax_mean') && { differentiable: [] }),
    bench,
  };
}

/** Terms from 1 to 2: the running sum grows and its last digits fall off. */
const positive: Fill = (_index, length) => Float64Array.from({ length }, (_, i) => 1.5 + uniformAt(i) / 2);
/** Growing from -2 to -1: the last term is the maximum, and one that starts from 0 is wrong. */
const growing: Fill = (_index, length) => Float64Array.from({ length }, (_, i) => (i + 1) / length - 2);

/** Up to 200 on either side: exp of one is infinite. */
const logits: Fill = (_index, length) => Float64Array.from({ length }, (_, i) => 200 * uniformAt(i));

export const reduceSuite: OpSuite<ReduceAttrs> = {
  op: reduceOp,
  reference: reduceReference,
  differentiable: [0],
  cases: [
    reduceCase('mean', 'f32', [1, 289, 2], 1, { bench: true }),
    reduceCase('mean', 'f32', [11, 768], 0, { bench: true }),
    reduceCase('max', 'f32', [4, 57600], 1, { bench: true }),
    reduceCase('sum', 'f32', [57600], 0, { note: 'either sign' }),
    reduceCase('sum', 'f32', [2, 57600, 2], 1, { fill: positive, note: 'positive' }),
    reduceCase('sum', 'f32', [3, 1, 5], 1),
    reduceCase('max', 'f32', [50, 77], 0, { fill: growing, note: 'growing' }),
    reduceCase('max', 'f32', [1], 0, { fill: growing, note: 'growing' }),
    reduceCase('mean', 'f32', [70000, 3], 1),
    reduceCase('sum', 'f32', [2, 3, 5, 7], 2),
    reduceCase('mean', 'f16', [3, 50, 33], 1),
    reduceCase('sum', 'f16', [290, 7], 0),
    reduceCase('max', 'f16', [5, 77], 1, { fill: growing, note: 'growing' }),
    // Levels: class probabilities of logits, averaged over patches
    reduceCase('softmax_mean', 'f32', [8, 289, 2], 1, { fill: logits, note: 'logits', bench: true }),
    reduceCase('softmax_mean', 'f32', [3, 290, 3], 1, { fill: logits, note: 'logits' }),
    reduceCase('softmax_mean', 'f32', [5, 1, 7], 1),
    reduceCase('softmax_mean', 'f16', [2, 77, 2], 1),
  ],
};

/** To `dtype` of `shape`, reduced along `axis`. */
function backwardCase(
  kind: 'sum' | 'mean',
  dtype: Dtype,
  shape: number[],
  axis: number,
  bench = false,
): KernelCase<ReduceBackwardAttrs> {
  return {
    name: `${kind} to ${dtype} [${shape}] axis ${axis}`,
    inputs: [tensorType('f32', shape.toSpliced(axis, 1))],
    attrs: { axis, length: shape[axis]!, kind, dtype },
    bench,
  };
}

export const reduceBackwardSuite: OpSuite<ReduceBackwardAttrs> = {
  op: reduceBackwardOp,
  reference: reduceBackwardReference,
  cases: [
    backwardCase('mean', 'f32', [8, 289, 2], 1, true),
    backwardCase('mean', 'f32', [7, 5, 3], 0),
    backwardCase('sum', 'f32', [2, 3, 5, 7], 2),
    backwardCase('sum', 'f32', [3, 77], 1),
    backwardCase('mean', 'f32', [50], 0),
    backwardCase('sum', 'f32', [3, 1, 5], 1),
    backwardCase('mean', 'f16', [3, 50, 33], 1),
    backwardCase('sum', 'f16', [290, 7], 0),
  ],
};
