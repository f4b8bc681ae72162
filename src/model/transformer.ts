/** The pre-LN transformer block that both CLIP towers are made of (Radford et al. 2021; OpenAI's ResidualAttentionBlock). */
import { type ActivationKind, activation } from '../kernels/activation/activation';
import { attention } from '../kernels/attention/attention';
import { gatherRows } from '../kernels/gather-rows/gather-rows';
import { gemm } from '../kernels/gemm/gemm';
import { layerNorm } from '../kernels/layer-norm/layer-norm';
import type { Graph, Tensor } from '../runtime/graph';
import type { Dtype } from '../runtime/tensor-type';

export interface BlockOptions {
  readonly width: number;
  readonly heads: number;
  readonly mlp: number;
  readonly activation: ActivationKind;
  readonly causal: boolean;
  /** Storage type of matrices; vectors are always f32. */
  readonly dtype: Dtype;
  /** Keeps what backward needs: the MLP's pre-activations and attention's log-sum-exp. */
  readonly training?: boolean;
}

/** LayerNorm with the weights `<name>.weight` and `<name>.bias`. */
export function namedLayerNorm(g: Graph, x: Tensor, name: string): Tensor {
  const width = x.shape.at(-1)!;
  return layerNorm(
    g,
    x,
    g.weight(`${name}.weight`, 'f32', [width]),
    g.weight(`${name}.bias`, 'f32', [width]),
  );
}

/**
 * x + attention(LN(x)), then that + MLP(LN(that)).
 * @param x [B, T, width]. @param prefix e.g. "visual.transformer.resblocks.0.". @param rows u32 [N], the positions b*T + t
 * that anybody reads: all serve as keys and values, the rest is computed for these alone.
 * @returns [B, T, width], or [N, width] with `rows`.
 */
export function transformerBlock(
  g: Graph,
  x: Tensor,
  prefix: string,
  options: BlockOptions,
  rows?: Tensor,
): Tensor {
  const { width, heads, mlp, activation: kind, causal, dtype, training = false } = options;
  const matrix = (name: string, rows: number, cols: number) =>
    g.weight(`${prefix}${name}`, dtype, [rows, cols]);
  const vector = (name: string, size: number) => g.weight(`${prefix}${name}`, 'f32', [size]);
  const qkv = gemm(
    g,
    namedLayerNorm(g, x, `${prefix}ln_1`),
    matrix('attn.in_proj_weight', 3 * width, width),
    {
      bias: vector('attn.in_proj_bias', 3 * width),
    },
  );
  const read = (t: Tensor) =>
    rows ? gatherRows(g, g.reshape(t, [t.shape[0]! * t.shape[1]!, width]), rows) : t;
  const attended = gemm(
    g,
    read(attention(g, qkv, { heads, causal, saveLse: training })),
    matrix('attn.out_proj.weight', width, width),
    {
      bias: vector('attn.out_proj.bias', width),
      residual: read(x),
    },
  );
  const hidden = gemm(
    g,
    namedLayerNorm(g, attended, `${prefix}ln_2`),
    matrix('mlp.c_fc.weight', mlp, width),
    { bias: vector('mlp.c_fc.bias', mlp), ...(!training && { activation: kind }) },
  );
  const activated = training ? activation(g, hidden, kind) : hidden;
  return gemm(g, activated, matrix('mlp.c_proj.weight', width, mlp), {
    bias: vector('mlp.c_proj.bias', width),
    residual: attended,
  });
}
