import { type Dtype, tensorType } from '../../runtime/tensor-type';
import type { KernelCase, OpSuite } from '../suite';
import { gatherRowsOp } from './gather-rows';
import { type GatherRowsBackwardAttrs, gatherRowsBackwardOp } from './gather-rows-backward';
import { gatherRowsBackwardReference, gatherRowsReference } from './reference';

function gatherCase(
  dtype: Dtype,
  shape: readonly [number, number],
  rows: readonly number[],
  bench = false,
): KernelCase<null> {
  const listed = rows.length > 4 ? `${rows.length} rows` : `rows ${rows}`;
  return {
    name: `${dtype} [${shape}], ${listed}`,
    inputs: [tensorType(dtype, shape), tensorType('u32', [rows.length])],
    attrs: null,
    fill: (index) => (index === 1 ? rows : undefined),
    bench,
  };
}

const ends = (prompts: number) => Array.from({ length: prompts }, (_, p) => p * 77 + 11 + (p % 3));

export const gatherRowsSuite: OpSuite<null> = {
  op: gatherRowsOp,
  reference: gatherRowsReference,
  differentiable: [0],
  cases: [
    gatherCase('f32', [21 * 77, 768], ends(21), true),
    gatherCase('f32', [290, 65], [0, 289, 7, 7]),
    gatherCase('f32', [1, 1], [0]),
    gatherCase('f32', [5, 3], [4, 5, 4294967295]), // past the end: the last row
    gatherCase('f16', [3 * 77, 33], ends(3)),
    gatherCase('f16', [7, 5], [6, 0, 3]),
  ],
};

/** Rows of a gather's x, and which were gathered. */
function backwardCase(
  dtype: Dtype,
  [count, cols]: readonly [number, number],
  rows: readonly number[],
  bench = false,
): KernelCase<GatherRowsBackwardAttrs> {
  const listed = rows.length > 4 ? `${rows.length} rows` : `rows ${rows}`;
  return {
    name: `${dtype} [${count},${cols}], ${listed}`,
    inputs: [tensorType('u32', [rows.length]), tensorType(dtype, [rows.length, cols])],
    attrs: { count },
    fill: (index) => (index === 0 ? rows : undefined),
    bench,
  };
}

export const gatherRowsBackwardSuite: OpSuite<GatherRowsBackwardAttrs> = {
  op: gatherRowsBackwardOp,
  reference: gatherRowsBackwardReference,
  cases: [
    backwardCase('f32', [21 * 77, 768], ends(21), true),
    backwardCase('f32', [290, 65], [0, 289, 7, 7]),
    backwardCase('f32', [1, 1], [0]),
    backwardCase('f32', [5, 3], [4, 5, 4294967295]), // past the end: the last row's
    backwardCase(
      'f32',
      [3, 5],
      Array.from({ length: 1001 }, (_, n) => Number(n % 7 > 0)),
    ),
    backwardCase('f16', [3 * 77, 33], ends(3)),
    backwardCase('f16', [7, 5], [6, 0, 3, 3]),
  ],
};
