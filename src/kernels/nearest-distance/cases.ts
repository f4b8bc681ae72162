import { type Dtype, type TensorType, tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, type RowsOf, uniformAt } from '../suite';
import { type NearestDistanceAttrs, nearestDistanceOp } from './nearest-distance';
import { nearestDistanceReference } from './reference';

interface Options {
  readonly dtype?: Dtype;
  readonly bankDtype?: Dtype;
  readonly skip?: number;
  readonly prev?: boolean;
  /** All cosines negative: a maximum that starts at 0 is seen. */
  readonly opposite?: boolean;
  readonly bench?: boolean;
}

/** Every query has a length of its own, and the last (if there are several) is zero. Bank rows have length 1. */
function nearestCase(
  [batch, tokens, cols]: readonly [number, number, number],
  rows: number,
  options: Options = {},
): KernelCase<NearestDistanceAttrs> {
  const { dtype = 'f32', bankDtype = dtype, skip = 1, prev = false, opposite = false, bench } = options;
  const value = (i: number, seed: number) => {
    const u = uniformAt(i, seed);
    if (!opposite) return u;
    return seed === 0 ? Math.abs(u) + 0.01 : -Math.abs(u) - 0.01;
  };
  const count = batch * tokens;
  const fill = (index: number, length: number): Float64Array => {
    const at = (i: number) => Math.floor(i / cols);
    if (index === 0) {
      return Float64Array.from({ length }, (_, i) =>
        count > 1 && at(i) === count - 1 ? 0 : value(i, 0) * (1 + (at(i) % 7)),
      );
    }
    // About as far as the bank is, so that either may be nearer.
    if (index === 2) return Float64Array.from({ length }, (_, i) => 0.8 + 0.3 * uniformAt(i, 2));
    const out = Float64Array.from({ length }, (_, i) => value(i, 1));
    for (let start = 0; start < length; start += cols) {
      const row = out.subarray(start, start + cols);
      const norm = Math.sqrt(row.reduce((sum, v) => sum + v * v, 0));
      for (let c = 0; c < cols; c++) row[c]! /= norm;
    }
    return out;
  };
  const extras = [
    `skip ${skip}`,
    prev && 'prev',
    opposite && 'opposite',
    bankDtype !== dtype && `bank ${bankDtype}`,
  ];
  return {
    name: [`${dtype} [${batch},${tokens},${cols}] in ${rows}`, ...extras.filter(Boolean)].join(', '),
    inputs: [
      tensorType(dtype, [batch, tokens, cols]),
      tensorType(bankDtype, [rows, cols]),
      ...(prev ? [tensorType('f32', [batch, tokens - skip])] : []),
    ],
    attrs: { skip },
    fill,
    ...(bench && { bench }),
  };
}

const rowsOf: RowsOf<NearestDistanceAttrs> = {
  count: ({ inputs, attrs: { skip } }) => inputs[0]!.shape[0]! * (inputs[0]!.shape[1]! - skip),
  part({ inputs, attrs: { skip } }, rows) {
    const [q, bank, prev] = inputs as [TensorType, TensorType, TensorType | undefined];
    const [, tokens, cols] = q.shape as [number, number, number];
    const place = (i: number) => rows[i]!;
    const query = (i: number) => {
      const row = rows[Math.floor(i / cols)]!;
      const token = Math.floor(row / (tokens - skip)) * tokens + skip + (row % (tokens - skip));
      return token * cols + (i % cols);
    };
    return {
      inputs: [
        { dtype: q.dtype, shape: [rows.length, 1, cols] },
        bank,
        ...(prev ? [{ dtype: prev.dtype, shape: [rows.length, 1] }] : []),
      ],
      attrs: { skip: 0 },
      from: [query, undefined, ...(prev ? [place] : [])],
      to: [place],
    };
  },
};

export const nearestDistanceSuite: OpSuite<NearestDistanceAttrs> = {
  op: nearestDistanceOp,
  reference: nearestDistanceReference,
  shaped: {
    axes: ['B', 'T', 'width', 'bank rows'],
    choices: { prev: 'flag' },
    make: ([batch, tokens, width, rows], dtype, { prev }) =>
      nearestCase([batch!, tokens!, width!], rows!, { dtype, prev: prev === true }),
  },
  rows: rowsOf,
  cases: [
    // ViT-L/14 at 240 px against k = 2, 4, 8, 16 images, 290 rows each
    nearestCase([1, 290, 768], 580, { bench: true }),
    nearestCase([1, 290, 768], 1160, { bench: true }),
    nearestCase([1, 290, 768], 2320, { bench: true }),
    nearestCase([1, 290, 768], 4640, { bench: true }),
    nearestCase([1, 290, 768], 2320, { dtype: 'f16', bench: true }),
    nearestCase([2, 50, 96], 650, { prev: true }),
    nearestCase([1, 77, 20], 1100),
    nearestCase([3, 17, 36], 67, { opposite: true }),
    nearestCase([1, 6, 8], 3, { opposite: true, skip: 0 }),
    nearestCase([2, 7, 5], 11),
    nearestCase([1, 5, 3], 521, { prev: true, opposite: true }),
    nearestCase([1, 4, 8], 9, { skip: 3 }),
    nearestCase([1, 1, 1], 1, { skip: 0 }),
    nearestCase([1, 10, 4], 70_001), // longer strips,
    nearestCase([2, 50, 32], 131, { dtype: 'f16', prev: true }),
    nearestCase([1, 29, 7], 50, { dtype: 'f16' }),
    nearestCase([1, 30, 16], 77, { dtype: 'f16', bankDtype: 'f32' }),
  ],
};
