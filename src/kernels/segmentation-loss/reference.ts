import type { OpCall } from '../../runtime/op';
import type { SegmentationLossAttrs } from './segmentation-loss';

const S = 1e-5;

export function segmentationLossReference(
  [p, masks, weights, scale]: readonly Float64Array[],
  { attrs }: OpCall<SegmentationLossAttrs>,
): Float64Array[] {
  const pixels = masks!.length / weights!.length;
  const gradient = new Float64Array(p!.length);
  let focal = 0;
  let dice = 0;
  weights!.forEach((weight, b) => {
    if (weight === 0) return;
    const factor = scale![0]! * weight;
    for (let i = b * pixels; i < (b + 1) * pixels; i++) {
      const own = masks![i]! > 0.5 ? 1 : 0;
      const q = (1 - S) * p![2 * i + own]! + S * p![2 * i + 1 - own]! + S;
      focal -= (weight / pixels) * (1 - q) ** 2 * Math.log(q);
      const slope = 2 * (1 - q) * Math.log(q) - (1 - q) ** 2 / q;
      gradient[2 * i + own]! += (factor / pixels) * slope * (1 - S);
      gradient[2 * i + 1 - own]! += (factor / pixels) * slope * S;
    }
    for (const k of attrs.normalDice ? [1, 0] : [1]) {
      const target = (i: number) => (k === 1 ? masks![i]! : 1 - masks![i]!);
      let [both, found, wanted] = [0, 0, 0];
      for (let i = b * pixels; i < (b + 1) * pixels; i++) {
        both += p![2 * i + k]! * target(i);
        found += p![2 * i + k]!;
        wanted += target(i);
      }
      const size = found + wanted + 1;
      dice += weight * (1 - (2 * both + 1) / size);
      for (let i = b * pixels; i < (b + 1) * pixels; i++) {
        gradient[2 * i + k]! += factor * ((2 * both + 1) / size ** 2 - (2 * target(i)) / size);
      }
    }
  });
  return [Float64Array.of(focal, dice), gradient];
}
