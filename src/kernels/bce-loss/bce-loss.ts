/**
 * Binary cross-entropy of MLA-LP's detection branch (section 3.4): image scores against labels, and the gradient by the scores.
 *
 * Operands: p f32 [B, 2], class probabilities (class 1 abnormal); labels f32 [B], t of 0 or 1; weights f32 [B], each image's
 * share of the mean (1/n for the n counted images, 0 for padding or unlabelled ones); scale f32 [1], the factor on the gradient
 * (loss scaling). Results: loss f32 [1] = sum_b weights_b bce(p_b1, t_b), not scaled; gradient f32 [B, 2] = scale dloss/dp,
 * its class 0 column zero. An image of weight 0 gives exactly 0, whatever its p.
 *
 * form 'probability' is torch.nn.functional.binary_cross_entropy: bce = -t log p - (1 - t) log(1 - p) with logarithms
 * of at least -100, gradient (p - t) / max(p (1 - p), 1e-12). p outside [0, 1], where the rounding of a mean may put it,
 * counts as the nearest of the two; a p or 1 - p below 2^-126 counts as 0. form 'logits' is
 * binary_cross_entropy_with_logits(p, t), p taken for a logit as the authors' code does: bce = max(p, 0) - p t +
 * log(1 + exp(-|p|)), gradient sigmoid(p) - t.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op } from '../../runtime/op';
import { describe, tensorType } from '../../runtime/tensor-type';
import wgsl from './bce_loss.wgsl';

export type BceForm = 'probability' | 'logits';

export interface BceLossAttrs {
  readonly form: BceForm;
}

export const bceLossOp: Op<BceLossAttrs> = {
  name: 'bce_loss',

  infer(inputs) {
    const [p] = inputs;
    const batch = p?.shape[0];
    const want = [`f32[${batch},2]`, `f32[${batch}]`, `f32[${batch}]`, 'f32[1]'];
    if (inputs.map(describe).join(' ') !== want.join(' ')) {
      throw new ShapeError(
        `bce_loss takes p f32 [B, 2], labels f32 [B], weights f32 [B] and scale f32 [1], not ${inputs.map(describe).join(', ')}.`,
      );
    }
    return [tensorType('f32', [1]), p!];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, attrs }, caps) {
        const batch = inputs[0]!.shape[0]!;
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'bce_loss', wgsl },
              constants: { B: batch },
              flags: attrs.form === 'logits' ? ['LOGITS'] : [],
              bindings: {
                p: { input: 0 },
                labels: { input: 1 },
                weights: { input: 2 },
                scale: { input: 3 },
                loss: { output: 0 },
                gradient: { output: 1 },
              },
              workgroups: foldGrid(Math.ceil(batch / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  flops: ({ inputs }) => 20 * inputs[0]!.shape[0]!,
};

/** Weighted binary cross-entropy of p [B, 2]: loss f32 [1], and scale * dloss/dp f32 [B, 2]. */
export function bceLoss(
  g: Graph,
  p: Tensor,
  labels: Tensor,
  weights: Tensor,
  scale: Tensor,
  form: BceForm,
): { loss: Tensor; gradient: Tensor } {
  const [loss, gradient] = g.apply(bceLossOp, [p, labels, weights, scale], { form });
  return { loss: loss!, gradient: gradient! };
}
