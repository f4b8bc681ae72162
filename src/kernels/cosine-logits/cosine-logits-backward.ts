/**
 * Gradients of patch-by-text logits (see cosine-logits.ts), two ops, so that an unneeded one is not built. With a kept token f,
 * n = max(|f|, 1e-12), u = f / n and h = scale * sum_k dy_k t_k, the gradient by u:
 *   df = (h - u (u . h)) / n, or h / n where n is the clamp; zeros for dropped tokens
 *   dt_k = scale * sum over all kept tokens of dy_k u
 *
 * cosine_logits_backward_features: features f32|f16 [B, N, C], text f32 [K, C], dy f32 [B, N - skip, K] -> like features.
 * cosine_logits_backward_text: features f32|f16 [B, N, C], dy f32 [B, N - skip, K] -> f32 [K, C]. Tokens are summed in blocks
 * of 32 first, which also keeps a large device busy.
 */
import { type Capabilities, foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Lowering, Op, OpCall } from '../../runtime/op';
import { describe, sameShape, type TensorType, tensorType } from '../../runtime/tensor-type';
import featuresPlainWgsl from './cosine_logits_backward_features_plain.wgsl';
import featuresWorkgroupWgsl from './cosine_logits_backward_features_workgroup.wgsl';
import partsWgsl from './cosine_logits_backward_text_parts.wgsl';
import sumWgsl from './cosine_logits_backward_text_sum.wgsl';
import type { CosineLogitsAttrs } from './cosine-logits';
import lengthsPlainWgsl from './token_lengths_plain.wgsl';
import lengthsWorkgroupWgsl from './token_lengths_workgroup.wgsl';

const BLOCK = 32; // tokens that one invocation sums
const WORKGROUP = 64; // invocations of the workgroup variants

/** Checks features and dy; the number of text rows. */
function classesOf(
  name: string,
  features: TensorType | undefined,
  dy: TensorType | undefined,
  { scale, skip }: CosineLogitsAttrs,
): number {
  if (!features || features.dtype === 'u32' || features.shape.length !== 3 || dy?.dtype !== 'f32') {
    throw new ShapeError(`${name} takes features f32 or f16 [B, N, C] and dy f32 [B, N - skip, K].`);
  }
  const [batch, tokens] = features.shape as [number, number, number];
  if (!Number.isSafeInteger(skip) || skip < 0 || skip >= tokens) {
    throw new ShapeError(`${name}: ${skip} of ${tokens} tokens cannot be dropped.`);
  }
  if (!Number.isFinite(scale)) throw new ShapeError(`${name}: the scale ${scale} must be finite.`);
  const classes = dy.shape[2] ?? 0;
  if (!sameShape(dy.shape, [batch, tokens - skip, classes])) {
    throw new ShapeError(`${name}: dy must be f32 [${batch}, ${tokens - skip}, K], not ${describe(dy)}.`);
  }
  return classes;
}

function featuresLowering(
  { inputs, attrs }: OpCall<CosineLogitsAttrs>,
  caps: Capabilities,
  variant: string,
  wgsl: string,
  rowsPerWorkgroup: number,
): Lowering {
  const [B, N, C] = inputs[0]!.shape as [number, number, number];
  return {
    variant,
    dispatches: [
      {
        kernel: { name: `cosine_logits_backward_features_${variant}`, wgsl },
        constants: { ROWS: B * N, N, C, K: inputs[1]!.shape[0]!, SKIP: attrs.skip, SCALE: attrs.scale },
        types: { T: inputs[0]!.dtype },
        bindings: {
          features: { input: 0 },
          text: { input: 1 },
          dy: { input: 2 },
          d_features: { output: 0 },
        },
        workgroups: foldGrid(Math.ceil((B * N) / rowsPerWorkgroup), caps),
      },
    ],
  };
}

function choose({ inputs }: OpCall<CosineLogitsAttrs>, caps: Capabilities): string {
  return caps.software || inputs[0]!.shape[2]! < WORKGROUP ? 'plain' : 'workgroup';
}

export const cosineLogitsBackwardFeaturesOp: Op<CosineLogitsAttrs> = {
  name: 'cosine_logits_backward_features',

  infer([features, text, dy], attrs) {
    const classes = classesOf('cosine_logits_backward_features', features, dy, attrs);
    const width = features!.shape[2]!;
    if (text?.dtype !== 'f32' || !sameShape(text.shape, [classes, width])) {
      throw new ShapeError(
        `cosine_logits_backward_features: text must be f32[${classes},${width}], not ${text ? describe(text) : 'nothing'}.`,
      );
    }
    return [features!];
  },

  variants: [
    {
      name: 'plain',
      lower: (call, caps) => featuresLowering(call, caps, 'plain', featuresPlainWgsl, 16),
    },
    {
      name: 'workgroup',
      lower: (call, caps) => featuresLowering(call, caps, 'workgroup', featuresWorkgroupWgsl, 1),
    },
  ],

  choose,

  flops({ inputs, attrs }) {
    const [batch, tokens, width] = inputs[0]!.shape as [number, number, number];
    return batch * (tokens - attrs.skip) * width * (8 + 4 * inputs[1]!.shape[0]!);
  },
};

function textLowering(
  { inputs, attrs }: OpCall<CosineLogitsAttrs>,
  caps: Capabilities,
  variant: string,
  lengthsWgsl: string,
  tokensPerWorkgroup: number,
): Lowering {
  const [features, dy] = inputs;
  const [B, N, C] = features!.shape as [number, number, number];
  const { skip: SKIP, scale: SCALE } = attrs;
  const K = dy!.shape[2]!;
  const TOKENS = B * (N - SKIP);
  const BLOCKS = Math.ceil(TOKENS / BLOCK);
  const types = { T: features!.dtype };
  return {
    variant,
    scratch: [tensorType('f32', [TOKENS]), tensorType('f32', [BLOCKS, K, C])],
    dispatches: [
      {
        kernel: { name: `token_lengths_${variant}`, wgsl: lengthsWgsl },
        constants: { TOKENS, N, C, SKIP },
        types,
        bindings: { features: { input: 0 }, inverse: { scratch: 0 } },
        workgroups: foldGrid(Math.ceil(TOKENS / tokensPerWorkgroup), caps),
      },
      {
        kernel: { name: 'cosine_logits_backward_text_parts', wgsl: partsWgsl },
        constants: { TOKENS, BLOCKS, N, C, K, SKIP, SCALE },
        types,
        bindings: {
          features: { input: 0 },
          dy: { input: 1 },
          inverse: { scratch: 0 },
          parts: { scratch: 1 },
        },
        workgroups: foldGrid(Math.ceil((BLOCKS * K * C) / 64), caps),
      },
      {
        kernel: { name: 'cosine_logits_backward_text_sum', wgsl: sumWgsl },
        constants: { COUNT: K * C, BLOCKS },
        bindings: { parts: { scratch: 1 }, d_text: { output: 0 } },
        workgroups: foldGrid(Math.ceil((K * C) / 64), caps),
      },
    ],
  };
}

export const cosineLogitsBackwardTextOp: Op<CosineLogitsAttrs> = {
  name: 'cosine_logits_backward_text',

  infer([features, dy], attrs) {
    const classes = classesOf('cosine_logits_backward_text', features, dy, attrs);
    return [tensorType('f32', [classes, features!.shape[2]!])];
  },

  variants: [
    { name: 'plain', lower: (call, caps) => textLowering(call, caps, 'plain', lengthsPlainWgsl, 16) },
    {
      name: 'workgroup',
      lower: (call, caps) => textLowering(call, caps, 'workgroup', lengthsWorkgroupWgsl, 1),
    },
  ],

  choose,

  flops({ inputs, attrs }) {
    const [batch, tokens, width] = inputs[0]!.shape as [number, number, number];
    return batch * (tokens - attrs.skip) * width * (2 + 3 * inputs[1]!.shape[2]!);
  },
};

/** dL/d(features) of cosine logits from dL/d(logits); zeros for the first `skip` tokens. */
export function cosineLogitsBackwardFeatures(
  g: Graph,
  features: Tensor,
  text: Tensor,
  dy: Tensor,
  attrs: CosineLogitsAttrs,
): Tensor {
  return g.apply(cosineLogitsBackwardFeaturesOp, [features, text, dy], attrs)[0]!;
}

/** dL/d(text) f32 [K, C] of cosine logits from dL/d(logits). */
export function cosineLogitsBackwardText(
  g: Graph,
  features: Tensor,
  dy: Tensor,
  attrs: CosineLogitsAttrs,
): Tensor {
  return g.apply(cosineLogitsBackwardTextOp, [features, dy], attrs)[0]!;
}
