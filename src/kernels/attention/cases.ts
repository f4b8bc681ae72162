import { type Dtype, tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { type AttentionAttrs, attentionOp } from './attention';
import { attentionReference } from './reference';

type Options = Partial<AttentionAttrs> & { dtype?: Dtype; bench?: boolean };

function attentionCase(
  batch: number,
  tokens: number,
  heads: number,
  size: number,
  options: Options = {},
): KernelCase<AttentionAttrs> {
  const { dtype = 'f32', bench = false, causal = false, saveLse = false } = options;
  return {
    name: `${dtype} B=${batch} T=${tokens} heads=${heads}x${size}${causal ? ' causal' : ''}${saveLse ? ' lse' : ''}`,
    inputs: [tensorType(dtype, [batch, tokens, 3 * heads * size])],
    attrs: { heads, causal, saveLse },
    // Queries and keys of a spread that makes the softmax peaked somewhere and flat elsewhere.
    fill: (_index, length) => Float64Array.from({ length }, (_, i) => 2 * uniformAt(i, 3)),
    bench,
  };
}

export const attentionSuite: OpSuite<AttentionAttrs> = {
  op: attentionOp,
  reference: attentionReference,
  cases: [
    attentionCase(1, 290, 16, 64, { bench: true }),
    attentionCase(21, 77, 12, 64, { causal: true, bench: true }),
    attentionCase(1, 290, 16, 64, { dtype: 'f16', bench: true }),
    attentionCase(1, 290, 2, 64),
    attentionCase(3, 77, 1, 64, { causal: true, saveLse: true }),
    attentionCase(2, 50, 3, 32),
    attentionCase(1, 65, 2, 80, { causal: true }),
    attentionCase(2, 1, 1, 32),
    attentionCase(2, 9, 2, 5, { saveLse: true }),
    attentionCase(2, 50, 2, 64, { dtype: 'f16' }),
    attentionCase(1, 37, 2, 80, { dtype: 'f16', causal: true }),
  ],
};
