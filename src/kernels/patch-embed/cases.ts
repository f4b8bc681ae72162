import { type Dtype, tensorType } from '../../runtime/tensor-type';
import type { KernelCase, OpSuite } from '../suite';
import { assembleTokensOp, type PatchifyAttrs, patchifyOp } from './patch-embed';
import { assembleTokensReference, patchifyReference } from './reference';

function patchifyCase(
  dtype: Dtype,
  batch: number,
  side: number,
  patch: number,
  bench = false,
): KernelCase<PatchifyAttrs> {
  return {
    name: `${dtype} B=${batch} ${side} px, patch ${patch}`,
    inputs: [tensorType('f32', [batch, 3, side, side])],
    attrs: { patch, dtype },
    bench,
  };
}

export const patchifySuite: OpSuite<PatchifyAttrs> = {
  op: patchifyOp,
  reference: patchifyReference,
  cases: [
    patchifyCase('f32', 1, 240, 14, true), // two rows and columns of pixels are not seen
    patchifyCase('f32', 2, 224, 32),
    patchifyCase('f32', 3, 17, 5),
    patchifyCase('f32', 1, 7, 7),
    patchifyCase('f32', 2, 3, 1),
    patchifyCase('f16', 1, 48, 16),
    patchifyCase('f16', 3, 11, 3),
  ],
};

function tokensCase(
  dtype: Dtype,
  batch: number,
  patches: number,
  width: number,
  bench = false,
): KernelCase<null> {
  return {
    name: `${dtype} [${batch},${patches},${width}]`,
    inputs: [
      tensorType(dtype, [batch, patches, width]),
      tensorType('f32', [width]),
      tensorType('f32', [1 + patches, width]),
    ],
    attrs: null,
    bench,
  };
}

export const assembleTokensSuite: OpSuite<null> = {
  op: assembleTokensOp,
  reference: assembleTokensReference,
  cases: [
    tokensCase('f32', 1, 289, 1024, true),
    tokensCase('f32', 3, 49, 129),
    tokensCase('f32', 2, 1, 1),
    tokensCase('f16', 2, 49, 96),
    tokensCase('f16', 1, 4, 5),
  ],
};
