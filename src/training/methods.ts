/** What differs between the methods that are trained. */
import type { ClipConfig } from '../model/clip-config';
import type { Graph } from '../runtime/graph';
import { linearParameters, linearStepGraph, stageName, stagesGraph } from './april-gan';
import type { TrainingMethod, TrainingOptions } from './options';
import { type Parameter, parametersOf } from './parameters';
import { prefixGraph, recomputableBlocks, type StepGraphOptions, stepGraph } from './step-graph';

export interface TrainedMethod {
  /** Every tensor of a checkpoint, in a fixed order. */
  parameters(config: ClipConfig, options: Pick<TrainingOptions, 'stages' | 'contextVectors'>): Parameter[];
  /** The frozen part, from images to the tensors that `features` names, [B, T, width] each. */
  prefix(options: StepGraphOptions): Graph;
  /** Outputs of `prefix` and inputs of `step`: what is cached of an image, one after another. */
  features(stages: number): readonly string[];
  step(options: StepGraphOptions): Graph;
  /** Blocks of the step that can be recomputed. */
  blocks(options: StepGraphOptions): number;
  /** Whether labels of whole images are learned from; else masks alone are. */
  readonly labels: boolean;
  /** Whether pixels are normalised as CLIP was trained. */
  readonly normalise: boolean;
}

function adapters(method: 'mla-lp' | 'mvfa'): TrainedMethod {
  return {
    parameters: (config, { stages, contextVectors }) =>
      parametersOf(config, stages, method === 'mla-lp' ? contextVectors : 0),
    prefix: prefixGraph,
    features: () => ['features'],
    step: stepGraph,
    blocks: recomputableBlocks,
    labels: true,
    normalise: false,
  };
}

const METHODS: Readonly<Record<TrainingMethod, TrainedMethod>> = {
  'mla-lp': adapters('mla-lp'),
  mvfa: adapters('mvfa'),
  'april-gan': {
    parameters: (config, { stages }) => linearParameters(config, stages),
    prefix: stagesGraph,
    features: (stages) => Array.from({ length: stages }, (_, stage) => stageName(stage)),
    step: linearStepGraph,
    blocks: () => 0,
    labels: false,
    normalise: true,
  },
};

export function trainedMethod(name: TrainingMethod): TrainedMethod {
  return METHODS[name];
}
