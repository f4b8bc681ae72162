import { type Dtype, sizeOf, tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, type RowsOf, uniformAt } from '../suite';
import { type AttentionAttrs, attentionOp } from './attention';
import { type AttentionBackwardAttrs, attentionBackwardOp } from './attention-backward';
import { attentionBackwardReference, attentionReference } from './reference';

type Options = Partial<AttentionAttrs> & {
  dtype?: Dtype;
  bench?: boolean;
  siblings?: boolean;
  /** Later keys are longer, so that running maxima grow a lot. */
  rising?: boolean;
};

export function attentionCase(
  batch: number,
  tokens: number,
  heads: number,
  size: number,
  options: Options = {},
): KernelCase<AttentionAttrs> {
  const { dtype = 'f32', bench = false, siblings = false, rising = false } = options;
  const { causal = false, saveLse = false } = options;
  const width = heads * size;
  // Sixfold from token 40 on, if they rise.
  const growth = (i: number) => (Math.floor(i / width) % 3 === 1 && (i / (3 * width)) % tokens >= 40 ? 6 : 1);
  return {
    name: `${dtype} B=${batch} T=${tokens} heads=${heads}x${size}${causal ? ' causal' : ''}${saveLse ? ' lse' : ''}${rising ? ' rising' : ''}`,
    inputs: [tensorType(dtype, [batch, tokens, 3 * heads * size])],
    attrs: { heads, causal, saveLse },
    fill: (_index, length) => (rising ? spread(length).map((v, i) => growth(i) * v) : spread(length)),
    ...(rising && { differentiable: [] }), // differences of a peaked softmax are coarse
    bench,
    siblings,
  };
}

/** Queries and keys of a spread that makes the softmax peaked somewhere and flat elsewhere. */
const spread = (length: number) => Float64Array.from({ length }, (_, i) => 2 * uniformAt(i, 3));

export function backwardCase(
  batch: number,
  tokens: number,
  heads: number,
  size: number,
  { dtype = 'f32', bench = false, siblings = false, causal = false }: Options = {},
): KernelCase<AttentionBackwardAttrs> {
  const qkv = tensorType(dtype, [batch, tokens, 3 * heads * size]);
  const y = tensorType(dtype, [batch, tokens, heads * size]);
  const forward = () => {
    const call = { inputs: [qkv], outputs: [], attrs: { heads, causal, saveLse: true } };
    return attentionReference([spread(sizeOf(qkv))], call);
  };
  return {
    name: `${dtype} B=${batch} T=${tokens} heads=${heads}x${size}${causal ? ' causal' : ''}`,
    inputs: [qkv, y, y, tensorType('f32', [batch, heads, tokens])],
    attrs: { heads, causal },
    // y and lse are those of qkv: a score above its row's lse is no score.
    fill: (index, length) => {
      if (index === 0) return spread(length);
      return index === 2 ? undefined : forward()[index === 1 ? 0 : 1];
    },
    bench,
    siblings,
  };
}

/** Of attention and its backward: images or sentences, tokens, heads, size of a head. */
const AXES = ['B', 'T', 'heads', 'size'];

/** A head of a sequence is a row: nothing that it computes depends on other heads. */
const headsOf: RowsOf<AttentionAttrs> = {
  count: ({ inputs, attrs }) => inputs[0]!.shape[0]! * attrs.heads,
  part({ inputs, attrs }, rows) {
    const [, T, width3] = inputs[0]!.shape as readonly [number, number, number];
    const { heads } = attrs;
    const size = width3 / 3 / heads;
    const R = rows.length;
    // Element c of part p (query, key, value) of token t, for the r-th row.
    const packed = (i: number, parts: number) => {
      const [c, p, t] = [i % size, Math.floor(i / size) % parts, Math.floor(i / (size * parts)) % T];
      const [batch, head] = [
        Math.floor(rows[Math.floor(i / (size * parts * T))]! / heads),
        rows[Math.floor(i / (size * parts * T))]! % heads,
      ];
      return (((batch * T + t) * parts + p) * heads + head) * size + c;
    };
    return {
      inputs: [{ dtype: inputs[0]!.dtype, shape: [R, T, 3 * size] }],
      attrs: { ...attrs, heads: 1 },
      from: [(i) => packed(i, 3)],
      to: [
        (i) => packed(i, 1),
        ...(attrs.saveLse ? [(i: number) => rows[Math.floor(i / T)]! * T + (i % T)] : []),
      ],
    };
  },
};

export const attentionSuite: OpSuite<AttentionAttrs> = {
  op: attentionOp,
  reference: attentionReference,
  shaped: {
    axes: AXES,
    choices: { causal: 'flag', lse: 'flag' },
    make: ([batch, tokens, heads, size], dtype, { causal, lse }) =>
      attentionCase(batch!, tokens!, heads!, size!, {
        dtype,
        causal: causal === true,
        saveLse: lse === true,
      }),
  },
  rows: headsOf,
  differentiable: [0],
  seeded: [0],
  cases: [
    attentionCase(1, 290, 16, 64, { bench: true }),
    attentionCase(21, 77, 12, 64, { causal: true, bench: true }),
    attentionCase(1, 290, 16, 64, { dtype: 'f16', bench: true }),
    attentionCase(1, 290, 2, 64),
    attentionCase(3, 77, 1, 64, { causal: true, saveLse: true }),
    attentionCase(2, 50, 3, 32),
    attentionCase(1, 65, 2, 80, { causal: true }),
    attentionCase(1, 37, 2, 12, { causal: true, saveLse: true, siblings: true }),
    attentionCase(2, 1, 1, 32),
    attentionCase(2, 9, 2, 5, { saveLse: true }),
    attentionCase(2, 50, 2, 64, { dtype: 'f16' }),
    attentionCase(1, 37, 2, 12, { dtype: 'f16', siblings: true }),
    attentionCase(1, 37, 2, 80, { dtype: 'f16', causal: true }),
    attentionCase(1, 77, 2, 16, { saveLse: true, rising: true }),
    attentionCase(1, 77, 2, 16, { dtype: 'f16', causal: true, saveLse: true, rising: true }),
  ],
};

export const attentionBackwardSuite: OpSuite<AttentionBackwardAttrs> = {
  op: attentionBackwardOp,
  reference: attentionBackwardReference,
  shaped: {
    axes: AXES,
    choices: { causal: 'flag' },
    make: ([batch, tokens, heads, size], dtype, { causal }) =>
      backwardCase(batch!, tokens!, heads!, size!, { dtype, causal: causal === true }),
  },
  cases: [
    backwardCase(1, 290, 16, 64, { bench: true }),
    backwardCase(21, 77, 12, 64, { causal: true, bench: true }),
    backwardCase(1, 290, 16, 64, { dtype: 'f16', bench: true }),
    backwardCase(1, 290, 1, 64),
    backwardCase(3, 77, 1, 64, { causal: true }),
    backwardCase(2, 50, 3, 32),
    backwardCase(1, 65, 2, 80, { causal: true }),
    backwardCase(1, 33, 1, 128),
    backwardCase(1, 37, 3, 12, { causal: true, siblings: true }),
    backwardCase(2, 1, 1, 32),
    backwardCase(2, 9, 2, 5, { causal: true }),
    backwardCase(2, 50, 2, 64, { dtype: 'f16' }),
    backwardCase(1, 37, 2, 80, { dtype: 'f16', causal: true }),
    backwardCase(1, 40, 2, 16, { causal: true }),
    backwardCase(1, 40, 2, 16, { dtype: 'f16', causal: true }),
  ],
};
