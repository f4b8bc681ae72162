/**
 * Reduction of one axis: y[o, i] = sum_a x[o, a, i], that over A (mean), or max_a x[o, a, i]; or the mean over a of softmax_i x[o, a, :]:
 * of each term's probabilities.
 *
 * Operand: x f32|f16 [...outer, A, ...inner], the axis anywhere. Result: y f32 [...outer, ...inner]. Sums are blocked (no
 * atomics): 57600 terms of either sign stay within f32 tolerance, and the result repeats bit by bit. A NaN among the
 * terms of a maximum gives an unspecified result, as WGSL's max does.
 */
import { type Capabilities, foldGrid } from '../../runtime/capabilities';
import { MlaLpError, ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Lowering, Op, OpCall } from '../../runtime/op';
import { describe, sizeOf, tensorType } from '../../runtime/tensor-type';
import plainWgsl from './reduce_plain.wgsl';
import termWgsl from './reduce_term.wgsl';
import workgroupWgsl from './reduce_workgroup.wgsl';
import { reduceBackward } from './reduce-backward';

export type ReduceKind = 'sum' | 'mean' | 'max' | 'softmax_mean';

export interface ReduceAttrs {
  /** From 0; the function `reduce` also takes negative ones. */
  readonly axis: number;
  readonly kind: ReduceKind;
}

function sizes({ inputs, attrs }: Pick<OpCall<ReduceAttrs>, 'inputs' | 'attrs'>) {
  const { shape } = inputs[0]!;
  const product = (part: readonly number[]) => part.reduce((p, n) => p * n, 1);
  return {
    OUTER: product(shape.slice(0, attrs.axis)),
    AXIS: shape[attrs.axis]!,
    INNER: product(shape.slice(attrs.axis + 1)),
  };
}

const FLAGS: Readonly<Record<ReduceKind, readonly string[]>> = {
  sum: [],
  mean: [],
  max: ['MAX'],
  softmax_mean: ['SOFTMAX'],
};

function lowering(
  call: OpCall<ReduceAttrs>,
  caps: Capabilities,
  variant: string,
  wgsl: string,
  resultsPerWorkgroup: number,
): Lowering {
  const s = sizes(call);
  const { kind } = call.attrs;
  return {
    variant,
    dispatches: [
      {
        kernel: { name: `reduce_${variant}`, wgsl, includes: { reduce_term: termWgsl } },
        constants: { ...s, DIVISOR: kind.endsWith('mean') ? s.AXIS : 1 },
        types: { T: call.inputs[0]!.dtype },
        flags: FLAGS[kind],
        bindings: { x: { input: 0 }, y: { output: 0 } },
        workgroups: foldGrid(Math.ceil((s.OUTER * s.INNER) / resultsPerWorkgroup), caps),
      },
    ],
  };
}

export const reduceOp: Op<ReduceAttrs> = {
  name: 'reduce',

  infer([x], { axis }) {
    if (!x || x.dtype === 'u32') {
      throw new ShapeError(`reduce takes x f32 or f16, not ${x ? describe(x) : 'nothing'}.`);
    }
    if (!Number.isSafeInteger(axis) || axis < 0 || axis >= x.shape.length) {
      throw new ShapeError(`reduce: ${describe(x)} has no axis ${axis}.`);
    }
    return [tensorType('f32', x.shape.toSpliced(axis, 1))];
  },

  variants: [
    { name: 'plain', lower: (call, caps) => lowering(call, caps, 'plain', plainWgsl, 64) },
    { name: 'workgroup', lower: (call, caps) => lowering(call, caps, 'workgroup', workgroupWgsl, 1) },
  ],

  choose(call, caps) {
    const { OUTER, AXIS, INNER } = sizes(call);
    // Many results or few terms: one invocation a result already fills the device, and reads side by side.
    return caps.software || AXIS < 64 || OUTER * INNER >= 16384 ? 'plain' : 'workgroup';
  },

  flops: ({ inputs, attrs }) => sizeOf(inputs[0]!) * (attrs.kind === 'softmax_mean' ? 6 : 1),

  // Sums and means are linear: each term gets dy, or dy / A.
  backward({ graph, attrs: { axis, kind }, inputTypes: [x], outputGradients: [dy] }) {
    if (kind === 'max' || kind === 'softmax_mean')
      throw new MlaLpError('bad-value', `reduce: ${kind} has no backward.`, '');
    return [reduceBackward(graph, dy!, { axis, length: x!.shape[axis]!, kind, dtype: x!.dtype })];
  },
};

/** Sum, mean or maximum over one axis (negative: from the end), which goes, or the mean of softmaxes over what is behind it; x f32|f16 -> f32. */
export function reduce(g: Graph, x: Tensor, axis: number, kind: ReduceKind): Tensor {
  return g.apply(reduceOp, [x], { axis: axis < 0 ? axis + x.shape.length : axis, kind })[0]!;
}
