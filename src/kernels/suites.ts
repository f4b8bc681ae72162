/** Every op's table: correctness tests, the race gate and the benchmark all walk this list. */
import { activationBackwardSuite, activationSuite } from './activation/cases';
import { assemblePromptsSuite } from './assemble-prompts/cases';
import { attentionSuite } from './attention/cases';
import { classSumSuite } from './class-sum/cases';
import {
  cosineLogitsBackwardFeaturesSuite,
  cosineLogitsBackwardTextSuite,
  cosineLogitsSuite,
} from './cosine-logits/cases';
import { gatherRowsSuite } from './gather-rows/cases';
import { gemmSuite } from './gemm/cases';
import { l2NormalizeBackwardSuite, l2NormalizeSuite } from './l2-normalize/cases';
import { layerNormBackwardSuite, layerNormSuite } from './layer-norm/cases';
import { assembleTokensSuite, patchifySuite } from './patch-embed/cases';
import { reduceSuite } from './reduce/cases';
import { resizeBilinearSuite } from './resize-bilinear/cases';
import { softmaxBackwardSuite, softmaxSuite } from './softmax/cases';
import { anySuite, type OpSuite } from './suite';
import { weightedSumSuite } from './weighted-sum/cases';

export const suites: readonly OpSuite<unknown>[] = [
  anySuite(patchifySuite),
  anySuite(assembleTokensSuite),
  anySuite(assemblePromptsSuite),
  anySuite(layerNormSuite),
  anySuite(layerNormBackwardSuite),
  anySuite(gemmSuite),
  anySuite(attentionSuite),
  anySuite(activationSuite),
  anySuite(activationBackwardSuite),
  anySuite(weightedSumSuite),
  anySuite(gatherRowsSuite),
  anySuite(l2NormalizeSuite),
  anySuite(l2NormalizeBackwardSuite),
  anySuite(cosineLogitsSuite),
  anySuite(cosineLogitsBackwardFeaturesSuite),
  anySuite(cosineLogitsBackwardTextSuite),
  anySuite(softmaxSuite),
  anySuite(softmaxBackwardSuite),
  anySuite(resizeBilinearSuite),
  anySuite(reduceSuite),
  anySuite(classSumSuite),
];
