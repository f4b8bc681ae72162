/** One training step as a graph: text columns, image tower from the first adapter on, losses, and the way back. */
import { accumulate } from '../kernels/accumulate/accumulate';
import { bceLoss } from '../kernels/bce-loss/bce-loss';
import { segmentationLoss } from '../kernels/segmentation-loss/segmentation-loss';
import { warp } from '../kernels/warp/warp';
import { addAll } from '../kernels/weighted-sum/weighted-sum';
import { tokensOf } from '../model/clip-config';
import { detectionScore, segmentationMap } from '../model/heads';
import { type AdapterOptions, adaptedBlocks, stageBlocks } from '../model/mla-lp-graph';
import type { Preset } from '../model/presets';
import { type PromptCounts, promptColumns } from '../model/text-tower';
import { embedImages, visionBlock } from '../model/vision-tower';
import { gradients, type Seed } from '../runtime/gradients';
import { Graph, type GraphNode, type Tensor } from '../runtime/graph';
import { contextName, type Parameter } from './parameters';

export interface StepGraphOptions extends AdapterOptions {
  readonly preset: Preset;
  /** Images the device takes at once. */
  readonly batch: number;
  /** Side the model runs at, px. */
  readonly imageSize: number;
  /** Whether the segmentation loss is part; without it only detection adapters and prompts are trained. */
  readonly masks: boolean;
  /** Whether masks are warped by `transforms`, as the images were. */
  readonly augment: boolean;
  /** What the text tower sees; without it the text columns are fixed, and it is no part of the step. */
  readonly prompts?: {
    /** Phrases a class. */
    readonly counts: PromptCounts;
    /** Tokens of a prompt. */
    readonly length: number;
  };
  readonly parameters: readonly Parameter[];
  /** How many blocks compute their inner tensors again for backward instead of keeping them. */
  readonly recompute: number;
  /** Losses alone, without gradients: what a benchmark subtracts. */
  readonly forwardOnly?: boolean;
}

/** Parameters that a step with or without masks trains. */
export function trainedParameters(parameters: readonly Parameter[], masks: boolean): Parameter[] {
  return parameters.filter(({ trained, group }) => trained && (masks || group !== 'seg'));
}

/** Name of a parameter's gradient in the trainer's store. */
export function gradientName(parameter: string): string {
  return `grad.${parameter}`;
}

/** det: detection, a number a stage; seg: segmentation, focal and dice a stage. */
export type LossKind = 'det' | 'seg';

/** Name of a loss's sum over stages in the trainer's store. */
export function lossName(kind: LossKind): string {
  return `loss.${kind}`;
}

export function lossShape(kind: LossKind): readonly number[] {
  return kind === 'det' ? [1] : [2];
}

/**
 * The frozen part that no gradient reaches: images f32 [B, 3, S, S] (warped by transforms f32 [B, 6] with `augment`) to
 * `features` [B, T, width], the output of the block that carries the first adapters.
 */
export function prefixGraph(options: StepGraphOptions): Graph {
  const { config, batch, imageSize, stages, augment } = options;
  const g = new Graph();
  const images = g.input('images', 'f32', [batch, 3, imageSize, imageSize]);
  const seen = augment ? warp(g, images, g.input('transforms', 'f32', [batch, 6])) : images;
  let x = g.scope('embed', () => embedImages(g, seen, options));
  const [first] = stageBlocks(config.layers, stages) as [number];
  for (let block = 0; block < first; block++) x = visionBlock(g, x, block, options);
  g.output('features', x);
  return g;
}

/**
 * Inputs: features [B, T, width] as `prefixGraph` gives them; labels f32 [B] of 0 and 1; detWeights and segWeights f32 [B],
 * each image's share of the mean (0 leaves it out); scale f32 [1], the factor on all gradients; keep f32 [2] of
 * `accumulate`; with `masks`, masks f32 [B, S, S] and, with `augment`, transforms f32 [B, 6].
 * Weights: CLIP's, the parameters, grad.<parameter> and loss.<kind>, to which the step adds its gradients and losses, and with learned
 * prompts prompt.tokens f32 [P, length, textWidth] and prompt.ends u32 [P], else text.columns f32 [2, embed], unit rows, normal first.
 * Outputs: det.i f32 [1] and, with `masks`, seg.i f32 [2] (focal, dice) per stage: the losses, not scaled.
 */
export function stepGraph(options: StepGraphOptions): Graph {
  const { config, dtype, batch, imageSize, masks, augment, preset } = options;
  const tower = { ...options, training: true };
  const g = new Graph();
  const features = g.input('features', dtype, [batch, tokensOf(options), config.width]);
  const labels = g.input('labels', 'f32', [batch]);
  const detWeights = g.input('detWeights', 'f32', [batch]);
  const scale = g.input('scale', 'f32', [1]);
  const keep = g.input('keep', 'f32', [2]);
  const parameters = new Map(options.parameters.map((p) => [p.name, g.weight(p.name, 'f32', p.shape)]));
  const text = textColumns(g, parameters, options);
  const truth = masks ? maskInput(g, batch, imageSize, augment) : undefined;
  const seeds: Seed[] = [];
  const [start] = stageBlocks(config.layers, options.stages) as [number];
  adaptedBlocks(g, features, start, tower, (stage, { seg, det }) => {
    const score = detectionScore(g, det, text);
    const found = bceLoss(g, score, labels, detWeights, scale, preset.detectionLoss);
    g.output(`det.${stage}`, found.loss);
    seeds.push({ tensor: score, gradient: found.gradient });
    if (!truth) return;
    const map = segmentationMap(g, seg, text, imageSize, preset.softmaxBeforeResize);
    const { loss, gradient } = segmentationLoss(g, map, truth.masks, truth.weights, scale, {
      normalDice: preset.normalDice,
    });
    g.output(`seg.${stage}`, loss);
    seeds.push({ tensor: map, gradient });
  });
  if (!options.forwardOnly) accumulateGradients(g, seeds, keep, options);
  return g;
}

/**
 * The way back from the losses' seeds to the trained parameters, whose gradients are added to the store's, as the losses are: the update
 * looks at them without the host in between.
 */
export function accumulateGradients(
  g: Graph,
  seeds: readonly Seed[],
  keep: Tensor,
  { parameters, masks, recompute }: Pick<StepGraphOptions, 'parameters' | 'masks' | 'recompute'>,
): void {
  const trained = trainedParameters(parameters, masks);
  const weightOf = ({ name, shape }: Parameter) => g.weight(name, 'f32', shape);
  const found = gradients(g, {
    seeds,
    wrt: trained.map(weightOf),
    add: (terms) => addAll(g, terms),
    segmentOf: recomputedSegments(g, recompute),
  });
  g.scope('accumulate', () => {
    for (const parameter of trained) {
      const sum = g.weight(gradientName(parameter.name), 'f32', parameter.shape);
      accumulate(g, sum, found.get(weightOf(parameter))!, keep);
    }
    for (const kind of ['det', 'seg'] as const) {
      const stages = [...g.outputs].filter(([name]) => name.startsWith(`${kind}.`)).map(([, loss]) => loss);
      if (stages.length === 0) continue;
      accumulate(g, g.weight(lossName(kind), 'f32', lossShape(kind)), addAll(g, stages), keep);
    }
  });
}

/** f32 [2, embed]: of learned prompts, or constant. */
function textColumns(
  g: Graph,
  parameters: ReadonlyMap<string, Tensor>,
  options: Omit<StepGraphOptions, 'masks'>,
): Tensor {
  const { config, prompts, preset } = options;
  if (!prompts) return g.weight('text.columns', 'f32', [2, config.embed]);
  const { counts, length } = prompts;
  const count = counts.normal + counts.abnormal;
  return promptColumns(
    g,
    g.weight('prompt.tokens', 'f32', [count, length, config.textWidth]),
    g.weight('prompt.ends', 'u32', [count]),
    (['normal', 'abnormal'] as const).map((kind) => parameters.get(contextName(kind))!),
    counts,
    { ...options, training: true, causal: preset.causalPrompts },
  );
}

/**
 * Learned prompts alone, as the step sees them. Weights: the text tower's, prompt.tokens, prompt.ends and the context vectors.
 * Output: columns f32 [2, embed], unit rows, normal first.
 */
export function columnsGraph(options: Omit<StepGraphOptions, 'masks'>): Graph {
  const g = new Graph();
  const prompts = options.parameters.filter(({ group }) => group === 'prompts');
  const parameters = new Map(prompts.map((p) => [p.name, g.weight(p.name, 'f32', p.shape)]));
  g.output('columns', textColumns(g, parameters, options));
  return g;
}

export function maskInput(
  g: Graph,
  batch: number,
  size: number,
  augment: boolean,
): { masks: Tensor; weights: Tensor } {
  const given = g.input('masks', 'f32', [batch, size, size]);
  const weights = g.input('segWeights', 'f32', [batch]);
  if (!augment) return { masks: given, weights };
  const field = g.reshape(given, [batch, 1, size, size]);
  const warped = warp(g, field, g.input('transforms', 'f32', [batch, 6]), { threshold: true });
  return { masks: g.reshape(warped, [batch, size, size]), weights };
}

const BLOCK = /^(?:block|text)\d+(?=\/)/;

/** Blocks of both towers in the step, in building order. */
function blocksOf(g: Graph): string[] {
  const names = g.nodes.map((node) => BLOCK.exec(node.label)?.[0]).filter((name) => name !== undefined);
  return [...new Set(names)];
}

/** Blocks that a step's gradient passes: as many as can be recomputed. */
export function recomputableBlocks({ config, stages, prompts }: StepGraphOptions): number {
  const [first] = stageBlocks(config.layers, stages) as [number];
  return config.layers - first + (prompts ? config.textLayers : 0);
}

/**
 * The first `count` blocks in building order are recomputed: theirs are the tensors that would have to wait longest for
 * backward.
 */
function recomputedSegments(g: Graph, count: number): (node: GraphNode) => string | undefined {
  const chosen = new Set(blocksOf(g).slice(0, count));
  return ({ label }) => {
    const name = BLOCK.exec(label)?.[0];
    return name !== undefined && chosen.has(name) ? name : undefined;
  };
}
