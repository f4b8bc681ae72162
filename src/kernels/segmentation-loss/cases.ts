import { tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { segmentationLossReference } from './reference';
import { type SegmentationLossAttrs, segmentationLossOp } from './segmentation-loss';

/** What is in a mask, image after image. */
const SHARES = [0.3, 0, 0.9, 1];

/**
 * Probabilities of both classes are independent, so that a gradient that takes one for 1 - the other is seen; a scale of about
 * the number of pixels makes gradients large enough to compare. An image of weight 0 holds what no probability is.
 */
function lossCase(
  [batch, height, width]: readonly [number, number, number],
  normalDice: boolean,
  options: { weights?: readonly number[]; scale?: number; bench?: boolean } = {},
): KernelCase<SegmentationLossAttrs> {
  const { scale = height * width, bench = false } = options;
  const weights = options.weights ?? Array.from({ length: batch }, () => 1 / batch);
  const counted = weights.filter((weight) => weight > 0).length;
  const pixels = height * width;
  return {
    name: `[${batch},${height},${width},2]${normalDice ? ' normal dice' : ''}, ${counted} of ${batch} images`,
    inputs: [[batch, height, width, 2], [batch, height, width], [batch], [1]].map((s) =>
      tensorType('f32', s),
    ),
    attrs: { normalDice },
    fill: (index, length) => {
      if (index === 2) return weights;
      if (index === 3) return [scale];
      return Float64Array.from({ length }, (_, i) => {
        const image = Math.floor(i / (index === 0 ? 2 * pixels : pixels));
        const value = uniformAt(i, index);
        if (index === 1) return Number(0.5 + value / 2 < SHARES[image % 4]!);
        return weights[image] === 0 ? [0, -3, 3e38][i % 3]! : 0.5 + 0.499 * value;
      });
    },
    bench,
  };
}

export const segmentationLossSuite: OpSuite<SegmentationLossAttrs> = {
  op: segmentationLossOp,
  reference: segmentationLossReference,
  cases: [
    lossCase([16, 240, 240], false, { bench: true }),
    lossCase([1, 240, 240], true, { bench: true }),
    lossCase([3, 51, 47], false),
    lossCase([3, 51, 47], true),
    lossCase([4, 17, 19], true, { weights: [0.25, 0.5, 0, 0.25] }),
    lossCase([5, 9, 11], false, { weights: [0, 1, 0, 0, 0], scale: 1024 }),
    lossCase([3, 7, 5], true, { weights: [0, 0, 0] }),
    lossCase([1, 1, 1], true),
    lossCase([1, 100, 100], false),
    lossCase([70, 3, 3], true),
  ],
};
