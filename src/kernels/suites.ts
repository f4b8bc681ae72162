/** Every op's table: correctness tests, the race gate and the benchmark all walk this list. */
import { accumulateSuite } from './accumulate/cases';
import { activationBackwardSuite, activationSuite } from './activation/cases';
import { adamSuite } from './adam/cases';
import { assemblePromptsBackwardSuite, assemblePromptsSuite } from './assemble-prompts/cases';
import { attentionBackwardSuite, attentionSuite } from './attention/cases';
import { bceLossSuite } from './bce-loss/cases';
import { castSuite } from './cast/cases';
import { classMapSuite } from './class-map/cases';
import { classSumSuite } from './class-sum/cases';
import { clipScaleSuite } from './clip-scale/cases';
import {
  cosineLogitsBackwardFeaturesSuite,
  cosineLogitsBackwardTextSuite,
  cosineLogitsSuite,
} from './cosine-logits/cases';
import { gatherRowsBackwardSuite, gatherRowsSuite } from './gather-rows/cases';
import { gemmSuite } from './gemm/cases';
import { groupMeanBackwardSuite, groupMeanSuite } from './group-mean/cases';
import { l2NormalizeBackwardSuite, l2NormalizeSuite } from './l2-normalize/cases';
import { layerNormBackwardSuite, layerNormSuite } from './layer-norm/cases';
import { nearestDistanceSuite } from './nearest-distance/cases';
import { assembleTokensSuite, patchifySuite } from './patch-embed/cases';
import { reduceBackwardSuite, reduceSuite } from './reduce/cases';
import { resizeBilinearBackwardSuite, resizeBilinearSuite } from './resize-bilinear/cases';
import { segmentationLossSuite } from './segmentation-loss/cases';
import { sgdSuite } from './sgd/cases';
import { softmaxBackwardSuite, softmaxSuite } from './softmax/cases';
import { squareSumSuite } from './square-sum/cases';
import { anySuite, type OpSuite } from './suite';
import { warpSuite } from './warp/cases';
import { weightedSumSuite } from './weighted-sum/cases';
import { windowHarmonicSuite } from './window-harmonic/cases';

export const suites: readonly OpSuite<unknown>[] = [
  anySuite(patchifySuite),
  anySuite(assembleTokensSuite),
  anySuite(assemblePromptsSuite),
  anySuite(assemblePromptsBackwardSuite),
  anySuite(layerNormSuite),
  anySuite(layerNormBackwardSuite),
  anySuite(gemmSuite),
  anySuite(attentionSuite),
  anySuite(attentionBackwardSuite),
  anySuite(activationSuite),
  anySuite(activationBackwardSuite),
  anySuite(weightedSumSuite),
  anySuite(gatherRowsSuite),
  anySuite(gatherRowsBackwardSuite),
  anySuite(groupMeanSuite),
  anySuite(groupMeanBackwardSuite),
  anySuite(l2NormalizeSuite),
  anySuite(l2NormalizeBackwardSuite),
  anySuite(cosineLogitsSuite),
  anySuite(cosineLogitsBackwardFeaturesSuite),
  anySuite(cosineLogitsBackwardTextSuite),
  anySuite(nearestDistanceSuite),
  anySuite(softmaxSuite),
  anySuite(softmaxBackwardSuite),
  anySuite(resizeBilinearSuite),
  anySuite(resizeBilinearBackwardSuite),
  anySuite(reduceSuite),
  anySuite(reduceBackwardSuite),
  anySuite(classSumSuite),
  anySuite(classMapSuite),
  anySuite(bceLossSuite),
  anySuite(segmentationLossSuite),
  anySuite(accumulateSuite),
  anySuite(squareSumSuite),
  anySuite(clipScaleSuite),
  anySuite(adamSuite),
  anySuite(sgdSuite),
  anySuite(warpSuite),
  anySuite(windowHarmonicSuite),
  anySuite(castSuite),
];
