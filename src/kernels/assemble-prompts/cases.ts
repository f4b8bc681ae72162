import { type Dtype, tensorType } from '../../runtime/tensor-type';
import type { KernelCase, OpSuite } from '../suite';
import { type AssemblePromptsAttrs, assemblePromptsOp } from './assemble-prompts';
import { assemblePromptsReference } from './reference';

/** `m` context vectors; 0: none. */
function promptsCase(
  dtype: Dtype,
  [p, t, w]: readonly [number, number, number],
  m: number,
  bench = false,
): KernelCase<AssemblePromptsAttrs> {
  const context = m > 0 ? [tensorType('f32', [p, m, w])] : [];
  return {
    name: `${dtype} [${p},${t},${w}], context ${m}`,
    inputs: [tensorType('f32', [p, t, w]), tensorType('f32', [t, w]), ...context],
    attrs: { dtype },
    bench,
  };
}

export const assemblePromptsSuite: OpSuite<AssemblePromptsAttrs> = {
  op: assemblePromptsOp,
  reference: assemblePromptsReference,
  cases: [
    promptsCase('f32', [11, 77, 768], 8, true),
    promptsCase('f32', [3, 77, 65], 8),
    promptsCase('f32', [2, 21, 33], 0),
    promptsCase('f32', [2, 5, 7], 4), // the context reaches the last place
    promptsCase('f32', [1, 1, 1], 0),
    promptsCase('f16', [2, 77, 65], 8),
    promptsCase('f16', [1, 3, 5], 0),
  ],
};
