import { tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { type AdamAttrs, adamOp } from './adam';
import { adamReference } from './reference';

interface Options {
  readonly decoupled?: boolean;
  readonly decay?: number;
  readonly factor?: number;
  readonly active?: number;
  /** What is not finite: gradients are NaN then, too. */
  readonly overflow?: boolean;
  readonly step?: number;
  readonly bench?: boolean;
}

/** Large rates, so that a wrong step is seen in w. */
function adamCase(shape: number[], options: Options = {}): KernelCase<AdamAttrs> {
  const { decoupled = false, decay = 0, factor = 1, active = 1, overflow = false, step = 3, bench } = options;
  const [beta1, beta2] = [0.5, 0.999];
  const hyper = [0.3, beta1, beta2, 0.01, decay, 1 / (1 - beta1 ** step), 1 / (1 - beta2 ** step), active];
  const words = [
    `f32 [${shape}]${decoupled ? ' decoupled' : ''} decay ${decay} factor ${factor} step ${step}`,
    ...(active ? [] : ['inactive']),
    ...(overflow ? ['not finite'] : []),
  ];
  return {
    name: words.join(', '),
    inputs: [shape, shape, shape, shape, [5], [8]].map((s) => tensorType('f32', s)),
    attrs: { decoupled },
    fill: (index, length) => {
      if (index === 5) return hyper;
      if (index === 4) return overflow ? [0, -1, 3, -1, 2] : [factor, 2, 1, 1, 1];
      return Float64Array.from({ length }, (_, i) => {
        const value = uniformAt(i, index);
        if (index === 2) return step === 1 ? 0 : 0.001 * (1 + value);
        if (index === 1 && step === 1) return 0;
        return index === 3 && overflow && i % 3 === 0 ? Number.NaN : value;
      });
    },
    ...(bench && { bench }),
  };
}

export const adamSuite: OpSuite<AdamAttrs> = {
  op: adamOp,
  reference: adamReference,
  cases: [
    adamCase([768, 1024], { bench: true }),
    adamCase([31, 67]),
    adamCase([31, 67], { step: 1 }),
    adamCase([5, 7], { decay: 0.1, factor: 0.25 }),
    adamCase([5, 7], { decay: 0.1, factor: 0.25, decoupled: true }),
    adamCase([3, 5, 77], { decay: 0.05, decoupled: true, step: 2 }),
    adamCase([1], { decay: 0.5 }),
    adamCase([33], { active: 0, decay: 0.5 }),
    adamCase([33], { overflow: true, decay: 0.5 }),
    adamCase([33], { overflow: true, decay: 0.5, decoupled: true }),
  ],
};
