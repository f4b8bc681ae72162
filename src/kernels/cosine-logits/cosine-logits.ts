/**
 * Patch-by-text logits (MLA-LP, eq. 5-8): cosines of tokens with text rows, scaled.
 *   y[b, n, k] = scale * sum_c features[b, skip + n, c] text[k, c] / max(|features[b, skip + n]|, 1e-12)
 *
 * Operands: features f32|f16 [B, N, C], not normalised; text f32 [K, C], rows of length 1. Result: y f32 [B, N - skip, K];
 * the first `skip` tokens (the class token) are dropped. Sums are f32. K is the number of classes: made for 2, good to 16.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op, OpCall } from '../../runtime/op';
import { describe, sizeOf, tensorType } from '../../runtime/tensor-type';
import plainWgsl from './cosine_logits_plain.wgsl';
import workgroupWgsl from './cosine_logits_workgroup.wgsl';
import { cosineLogitsBackwardFeatures, cosineLogitsBackwardText } from './cosine-logits-backward';

export interface CosineLogitsAttrs {
  readonly scale: number;
  readonly skip: number;
}

const SIZE = 64; // invocations of the workgroup variant
const MOST_CLASSES = 16; // that it holds in registers

function constants({ inputs, attrs }: OpCall<CosineLogitsAttrs>) {
  const [, N, C] = inputs[0]!.shape as [number, number, number];
  return { N, C, K: inputs[1]!.shape[0]!, SKIP: attrs.skip, SCALE: attrs.scale };
}

const bindings = { features: { input: 0 }, text: { input: 1 }, y: { output: 0 } };

export const cosineLogitsOp: Op<CosineLogitsAttrs> = {
  name: 'cosine_logits',

  infer([features, text], { scale, skip }) {
    if (!features || features.dtype === 'u32' || features.shape.length !== 3 || !text) {
      throw new ShapeError('cosine_logits takes features f32 or f16 [B, N, C] and text f32 [K, C].');
    }
    const [batch, tokens, width] = features.shape as [number, number, number];
    if (text.dtype !== 'f32' || text.shape.length !== 2 || text.shape[1] !== width) {
      throw new ShapeError(`cosine_logits: text must be f32 [K, ${width}], not ${describe(text)}.`);
    }
    if (!Number.isSafeInteger(skip) || skip < 0 || skip >= tokens) {
      throw new ShapeError(`cosine_logits: ${skip} of ${tokens} tokens cannot be dropped.`);
    }
    if (!Number.isFinite(scale)) throw new ShapeError(`cosine_logits: the scale ${scale} must be finite.`);
    return [tensorType('f32', [batch, tokens - skip, text.shape[0]!])];
  },

  variants: [
    {
      name: 'plain',
      lower(call, caps) {
        const count = sizeOf(call.outputs[0]!);
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'cosine_logits_plain', wgsl: plainWgsl },
              constants: { ...constants(call), COUNT: count },
              types: { T: call.inputs[0]!.dtype },
              bindings,
              workgroups: foldGrid(Math.ceil(count / 64), caps),
            },
          ],
        };
      },
    },
    {
      name: 'workgroup',
      lower(call, caps) {
        const c = constants(call);
        if (c.K > MOST_CLASSES) return { cannot: `it holds ${MOST_CLASSES} text rows, not ${c.K}` };
        const tokens = sizeOf(call.outputs[0]!) / c.K;
        return {
          variant: 'workgroup',
          dispatches: [
            {
              kernel: { name: 'cosine_logits_workgroup', wgsl: workgroupWgsl },
              constants: { ...c, TOKENS: tokens, CELLS: SIZE * (1 + c.K) },
              types: { T: call.inputs[0]!.dtype },
              bindings,
              workgroups: foldGrid(tokens, caps),
            },
          ],
        };
      },
    },
  ],

  choose(call, caps) {
    const { C, K } = constants(call);
    return caps.software || C < SIZE || K > MOST_CLASSES ? 'plain' : 'workgroup';
  },

  flops({ inputs, outputs }) {
    const [features, text] = inputs;
    const tokens = sizeOf(outputs[0]!) / text!.shape[0]!;
    return 2 * tokens * features!.shape[2]! * (1 + text!.shape[0]!);
  },

  // y_k = scale u . t_k with u = f / n: dt_k = scale sum dy_k u over tokens; h = dL/du = scale sum_k dy_k t_k, and
  // df = (h - u (u . h)) / n as for every normalisation. A clamped n is constant; dropped tokens change nothing.
  backward({ graph, attrs, input, outputGradients: [dy], needed }) {
    return [
      needed[0] ? cosineLogitsBackwardFeatures(graph, input(0), input(1), dy!, attrs) : undefined,
      needed[1] ? cosineLogitsBackwardText(graph, input(0), dy!, attrs) : undefined,
    ];
  },
};

export interface CosineLogitsOptions {
  /** Factor on the cosines: 100 in CLIP. */
  readonly scale?: number;
  /** Leading tokens to drop: the class token. */
  readonly skip?: number;
}

/** scale * cosine of each token but the first `skip` with each text row; [B, N, C], f32 [K, C] -> f32 [B, N - skip, K]. */
export function cosineLogits(
  g: Graph,
  features: Tensor,
  text: Tensor,
  { scale = 100, skip = 1 }: CosineLogitsOptions = {},
): Tensor {
  return g.apply(cosineLogitsOp, [features, text], { scale, skip })[0]!;
}
