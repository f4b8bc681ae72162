/** One training step's losses and gradients, without a trainer around it. */
import { Clip } from '../../src/model/clip';
import { readClipConfig } from '../../src/model/clip-config';
import type { Preset } from '../../src/model/presets';
import { learnablePromptTokens } from '../../src/model/prompts';
import { elementCount, type TensorSource } from '../../src/model/tensor-source';
import { loadWeights } from '../../src/model/weight-loader';
import { BufferStore, lookupIn } from '../../src/runtime/buffer-store';
import type { Gpu } from '../../src/runtime/device';
import { Executable } from '../../src/runtime/executable';
import type { Graph } from '../../src/runtime/graph';
import { plan } from '../../src/runtime/plan';
import { parametersOf } from '../../src/training/parameters';
import {
  gradientName,
  lossName,
  lossShape,
  prefixGraph,
  type StepGraphOptions,
  stepGraph,
} from '../../src/training/step-graph';

export interface StepCase {
  readonly weights: TensorSource;
  readonly init: TensorSource;
  readonly preset: Preset;
  /** px. */
  readonly imageSize: number;
  /** f32 [B, 3, S, S]. */
  readonly images: Float32Array<ArrayBuffer>;
  /** f32 [B]. */
  readonly labels: Float32Array<ArrayBuffer>;
  /** f32 [B, S, S]; without them the step is one of detection only. */
  readonly masks?: Float32Array<ArrayBuffer>;
  readonly recompute?: number;
  /** f32 [2, embed] instead of learned prompts. */
  readonly columns?: Float32Array<ArrayBuffer>;
  /** Fills intermediates with NaN before each run. */
  readonly poison?: boolean;
}

export interface StepResult {
  readonly losses: Readonly<Record<string, ArrayLike<number>>>;
  /** NaN where no gradient was written. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
  readonly graph: Graph;
}

export async function oneStep(gpu: Gpu, given: StepCase): Promise<StepResult> {
  const { weights, init, preset, imageSize, masks, columns, recompute = 0, poison = false } = given;
  const config = readClipConfig(weights);
  const batch = given.labels.length;
  const clip = new Clip(gpu, weights, config, 'f32');
  const parameters = parametersOf(config, 4, columns ? 0 : 8);
  const prompts = await clip.promptInputs(
    await learnablePromptTokens(8, config.context),
    preset.causalPrompts,
  );
  const options: StepGraphOptions = {
    config,
    activation: preset.activation,
    dtype: 'f32',
    preset,
    batch,
    imageSize,
    stages: 4,
    masks: masks !== undefined,
    augment: false,
    ...(!columns && { prompts: { counts: prompts.counts, length: prompts.length } }),
    parameters,
    recompute,
  };
  const store = new BufferStore(gpu);
  const put = async (name: string, shape: readonly number[], values: Float32Array<ArrayBuffer>) => {
    await store.create(name, { dtype: 'f32', shape });
    await store.write(name, values);
  };
  for (const { name, shape } of parameters) {
    await put(name, shape, await init.read(name));
    // What an earlier step left must not show.
    await put(gradientName(name), shape, new Float32Array(elementCount(shape)).fill(Number.NaN));
  }
  for (const kind of ['det', 'seg'] as const)
    await put(
      lossName(kind),
      lossShape(kind),
      new Float32Array(elementCount(lossShape(kind))).fill(Number.NaN),
    );
  if (columns) await put('text.columns', [2, config.embed], columns);
  const count = prompts.ends.length;
  await put('prompt.tokens', [count, prompts.length, config.textWidth], prompts.tokens);
  await store.create('prompt.ends', { dtype: 'u32', shape: [count] });
  await store.write('prompt.ends', Float32Array.from(prompts.ends));
  const frozen = new BufferStore(gpu);
  const compile = async (graph: Graph) => {
    const missing = new Map([...graph.weights].filter(([name]) => !store.has(name)));
    await loadWeights({ weights: missing }, frozen, [weights]);
    return Executable.compile(gpu, plan(graph, gpu.caps), lookupIn(store, frozen), { poison });
  };
  const prefix = await compile(prefixGraph(options));
  const { features } = await prefix.run({ images: given.images });
  const graph = stepGraph(options);
  const executable = await compile(graph);
  const losses = await executable.run({
    features: features!,
    labels: given.labels,
    detWeights: new Float32Array(batch).fill(1 / batch),
    scale: Float32Array.of(1),
    keep: Float32Array.of(0, 1),
    ...(masks && { segWeights: new Float32Array(batch).fill(1 / batch), masks }),
  });
  const gradients = new Map<string, Float32Array>();
  for (const { name } of parameters) gradients.set(name, await store.read(gradientName(name)));
  prefix.destroy();
  executable.destroy();
  store.destroy();
  frozen.destroy();
  await clip.vision.destroy();
  return { losses, gradients, graph };
}

/** The sum of all stages' losses: `det.`, or `seg.` (focal and dice). */
export function totalLoss(losses: StepResult['losses'], kind: string): number {
  return Object.entries(losses)
    .filter(([name]) => name.startsWith(kind))
    .reduce((total, [, values]) => total + Array.from(values).reduce((a, b) => a + b, 0), 0);
}
