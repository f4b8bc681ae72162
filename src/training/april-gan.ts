/** APRIL-GAN's training (Chen et al. 2023, section 2.2 and the authors' train.py): linear layers alone, by focal and dice loss. */
import { segmentationLoss } from '../kernels/segmentation-loss/segmentation-loss';
import { warp } from '../kernels/warp/warp';
import { linearName, stageMap, stageTokens } from '../model/april-gan/graph';
import { type ClipConfig, tokensOf } from '../model/clip-config';
import type { Seed } from '../runtime/gradients';
import { Graph } from '../runtime/graph';
import type { Parameter } from './parameters';
import { accumulateGradients, maskInput, type StepGraphOptions } from './step-graph';

/** Weights and biases of every stage. */
export function linearParameters({ width, embed }: ClipConfig, stages: number): Parameter[] {
  return Array.from({ length: stages }, (_, stage): Parameter[] => [
    { name: linearName(stage, 'weight'), shape: [embed, width], group: 'seg', trained: true },
    { name: linearName(stage, 'bias'), shape: [embed], group: 'seg', trained: true, fanIn: width },
  ]).flat();
}

/** Name of a stage's tokens: output of `stagesGraph`, input of the step. */
export function stageName(stage: number): string {
  return `features.${stage}`;
}

/**
 * The frozen tower: images f32 [B, 3, S, S], normalised (warped by transforms f32 [B, 6] with `augment`), to features.i
 * [B, T, width] per stage.
 */
export function stagesGraph(options: StepGraphOptions): Graph {
  const { batch, imageSize, augment } = options;
  const g = new Graph();
  const images = g.input('images', 'f32', [batch, 3, imageSize, imageSize]);
  const seen = augment ? warp(g, images, g.input('transforms', 'f32', [batch, 6])) : images;
  stageTokens(g, seen, options).forEach((tokens, stage) => {
    g.output(stageName(stage), tokens);
  });
  return g;
}

/**
 * Inputs: features.i as `stagesGraph` gives them; masks f32 [B, S, S], segWeights f32 [B], scale, keep and, with `augment`,
 * transforms, as in `stepGraph`. Weights: the layers, grad.<layer>, text.columns f32 [2, embed].
 * Outputs: seg.i f32 [2] (focal, dice) per stage, not scaled.
 */
export function linearStepGraph(options: StepGraphOptions): Graph {
  const { config, dtype, batch, imageSize, augment, stages } = options;
  const g = new Graph();
  const scale = g.input('scale', 'f32', [1]);
  const keep = g.input('keep', 'f32', [2]);
  const text = g.weight('text.columns', 'f32', [2, config.embed]);
  const truth = maskInput(g, batch, imageSize, augment);
  const seeds: Seed[] = [];
  for (let stage = 0; stage < stages; stage++) {
    g.scope(`stage${stage}`, () => {
      const tokens = g.input(stageName(stage), dtype, [batch, tokensOf(options), config.width]);
      const map = stageMap(g, tokens, stage, text, options);
      const { loss, gradient } = segmentationLoss(g, map, truth.masks, truth.weights, scale, {
        normalDice: false,
      });
      g.output(`seg.${stage}`, loss);
      seeds.push({ tensor: map, gradient });
    });
  }
  if (!options.forwardOnly) accumulateGradients(g, seeds, keep, options);
  return g;
}
