import { type Dtype, tensorType } from '../../runtime/tensor-type';
import type { KernelCase, OpSuite } from '../suite';
import { type AssemblePromptsAttrs, assemblePromptsOp } from './assemble-prompts';
import { type AssemblePromptsBackwardAttrs, assemblePromptsBackwardOp } from './assemble-prompts-backward';
import { assemblePromptsBackwardReference, assemblePromptsReference } from './reference';

type Size = readonly [prompts: number, length: number, width: number];

/** `m` context vectors for the prompts, which the contexts share out among them; 0: none. */
function promptsCase(
  dtype: Dtype,
  [p, t, w]: Size,
  m: number,
  shares: readonly number[] = m > 0 ? [p] : [],
  bench = false,
): KernelCase<AssemblePromptsAttrs> {
  const contexts = shares.map((n) => tensorType('f32', [n, m, w]));
  return {
    name: `${dtype} [${p},${t},${w}], context ${m}${shares.length > 1 ? ` for ${shares.join(' + ')}` : ''}`,
    inputs: [tensorType('f32', [p, t, w]), tensorType('f32', [t, w]), ...contexts],
    attrs: { dtype },
    bench,
  };
}

export const assemblePromptsSuite: OpSuite<AssemblePromptsAttrs> = {
  op: assemblePromptsOp,
  reference: assemblePromptsReference,
  differentiable: [2, 3],
  cases: [
    promptsCase('f32', [21, 77, 768], 8, [10, 11], true),
    promptsCase('f32', [3, 77, 65], 8),
    promptsCase('f32', [2, 21, 33], 0),
    promptsCase('f32', [2, 5, 7], 4), // the context reaches the last place
    promptsCase('f32', [5, 7, 33], 3, [2, 3]),
    promptsCase('f32', [3, 2, 5], 1, [2, 1]),
    promptsCase('f32', [1, 1, 1], 0),
    promptsCase('f16', [2, 77, 65], 8),
    promptsCase('f16', [3, 5, 7], 3, [1, 2]),
    promptsCase('f16', [1, 3, 5], 0),
  ],
};

function backwardCase(
  dtype: Dtype,
  size: Size,
  attrs: AssemblePromptsBackwardAttrs,
  bench = false,
): KernelCase<AssemblePromptsBackwardAttrs> {
  return {
    name: `${dtype} [${size}], ${attrs.vectors} vectors of ${attrs.count} from ${attrs.first} on`,
    inputs: [tensorType(dtype, size)],
    attrs,
    bench,
  };
}

export const assemblePromptsBackwardSuite: OpSuite<AssemblePromptsBackwardAttrs> = {
  op: assemblePromptsBackwardOp,
  reference: assemblePromptsBackwardReference,
  cases: [
    backwardCase('f32', [21, 77, 768], { first: 10, count: 11, vectors: 8 }, true),
    backwardCase('f32', [3, 77, 65], { first: 0, count: 3, vectors: 8 }),
    backwardCase('f32', [5, 7, 33], { first: 2, count: 3, vectors: 3 }),
    backwardCase('f32', [5, 7, 33], { first: 0, count: 2, vectors: 6 }),
    backwardCase('f32', [2, 3, 1], { first: 1, count: 1, vectors: 1 }),
    backwardCase('f16', [3, 77, 33], { first: 1, count: 2, vectors: 8 }),
    backwardCase('f16', [2, 5, 7], { first: 0, count: 1, vectors: 4 }),
  ],
};
