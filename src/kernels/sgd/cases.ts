import { tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { sgdReference } from './reference';
import { sgdOp } from './sgd';

interface Options {
  readonly momentum?: number;
  readonly nesterov?: number;
  readonly decay?: number;
  readonly factor?: number;
  readonly first?: number;
  readonly active?: number;
  readonly overflow?: boolean;
  readonly bench?: boolean;
}

/** A first step finds NaN in b, as fresh memory may hold. */
function sgdCase(shape: number[], options: Options = {}): KernelCase<null> {
  const {
    momentum = 0.9,
    nesterov = 0,
    decay = 0,
    factor = 1,
    first = 0,
    active = 1,
    overflow,
    bench,
  } = options;
  const words = [
    `f32 [${shape}] momentum ${momentum} decay ${decay} factor ${factor}`,
    ...(nesterov ? ['nesterov'] : []),
    ...(first ? ['first'] : []),
    ...(active ? [] : ['inactive']),
    ...(overflow ? ['not finite'] : []),
  ];
  return {
    name: words.join(', '),
    inputs: [shape, shape, shape, [3], [8]].map((s) => tensorType('f32', s)),
    attrs: null,
    fill: (index, length) => {
      if (index === 4) return [0.3, momentum, nesterov, 0, decay, first, 0, active];
      if (index === 3) return overflow ? [0, -1, -1] : [factor, 2, 2];
      return Float64Array.from({ length }, (_, i) => {
        if (index === 1 && first) return Number.NaN;
        return index === 2 && overflow && i % 3 === 0 ? Number.NaN : uniformAt(i, index);
      });
    },
    ...(bench && { bench }),
  };
}

export const sgdSuite: OpSuite<null> = {
  op: sgdOp,
  reference: sgdReference,
  cases: [
    sgdCase([768, 1024], { bench: true }),
    sgdCase([31, 67]),
    sgdCase([31, 67], { first: 1, decay: 0.1 }),
    sgdCase([5, 7], { decay: 0.1, factor: 0.25, nesterov: 1 }),
    sgdCase([5, 7], { first: 1, nesterov: 1 }),
    sgdCase([3, 5, 7], { momentum: 0, decay: 0.2 }),
    sgdCase([1], { decay: 0.5 }),
    sgdCase([33], { active: 0, decay: 0.5 }),
    sgdCase([33], { overflow: true, decay: 0.5 }),
  ],
};
