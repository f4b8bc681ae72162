/** A training step on stand-in weights: its tensors, its graphs, and values that keep it finite. */
import { uniformAt } from '../../src/kernels/suite';
import { Clip } from '../../src/model/clip';
import { readClipConfig } from '../../src/model/clip-config';
import { AUTHORS } from '../../src/model/presets';
import { learnablePromptTokens } from '../../src/model/prompts';
import { syntheticCheckpoint, syntheticClip } from '../../src/model/synthetic';
import { BufferStore } from '../../src/runtime/buffer-store';
import type { Gpu } from '../../src/runtime/device';
import type { Executable } from '../../src/runtime/executable';
import type { Graph } from '../../src/runtime/graph';
import type { PlanOptions } from '../../src/runtime/plan';
import { sizeOf } from '../../src/runtime/tensor-type';
import { parametersOf } from '../../src/training/parameters';
import {
  gradientName,
  type LossKind,
  lossName,
  lossShape,
  type StepGraphOptions,
  stepGraph,
  trainedParameters,
} from '../../src/training/step-graph';
import { normsName, SLOTS, slotName, updateGraph } from '../../src/training/update-graph';
import type { ImageChoice } from './image';

const STAGES = 4;
const CONTEXT = 8;
const LOSSES: readonly LossKind[] = ['det', 'seg'];

export interface TrainingSetup {
  readonly graphs: {
    readonly forward: Graph;
    readonly 'forward and backward': Graph;
    readonly optimiser: Graph;
  };
  /** Parameters, their gradients (`gradientName`), the optimiser's slots. */
  readonly store: BufferStore;
  /** Names of the parameters that the step trains. */
  readonly trained: readonly string[];
  compile(graph: Graph, options?: PlanOptions): Promise<Executable>;
  destroy(): void;
}

/** Puts parameters and what belongs to them on the device. @param layers of the image tower; all without it. */
export async function setUpTraining(
  gpu: Gpu,
  { model, imageSize, batch, precision: dtype }: ImageChoice,
  layers?: number,
): Promise<TrainingSetup> {
  gpu.requirePrecision(dtype);
  const source = syntheticClip(model);
  const whole = readClipConfig(source);
  const config = { ...whole, layers: layers ?? whole.layers };
  const clip = new Clip(gpu, source, config, dtype);
  const releaseText = clip.holdText();
  const store = new BufferStore(gpu);
  const destroy = () => {
    store.destroy();
    releaseText();
    clip.vision.destroy();
  };
  try {
    const tokens = await learnablePromptTokens(CONTEXT, config.context);
    const prompts = await clip.promptInputs(tokens, AUTHORS.causalPrompts);
    const parameters = parametersOf(config, STAGES, CONTEXT);
    const options: StepGraphOptions = {
      config,
      activation: AUTHORS.activation,
      dtype,
      adapterDtype: 'f32',
      preset: AUTHORS,
      batch,
      imageSize,
      stages: STAGES,
      masks: true,
      augment: false,
      prompts: { counts: prompts.counts, length: prompts.length },
      parameters,
      recompute: 0,
    };
    const checkpoint = syntheticCheckpoint(model);
    const trained = trainedParameters(parameters, true);
    for (const { name, shape } of parameters) {
      await store.create(name, { dtype: 'f32', shape });
      await store.write(name, await checkpoint.read(name));
      await store.create(gradientName(name), { dtype: 'f32', shape });
      for (const slot of SLOTS.adam) await store.create(slotName(slot, name), { dtype: 'f32', shape });
    }
    const norms = trained.length + LOSSES.length;
    await store.create(normsName(norms), { dtype: 'f32', shape: [norms] });
    for (const kind of LOSSES) await store.create(lossName(kind), { dtype: 'f32', shape: lossShape(kind) });
    const count = prompts.ends.length;
    await store.create('prompt.tokens', { dtype: 'f32', shape: [count, prompts.length, config.textWidth] });
    await store.write('prompt.tokens', prompts.tokens);
    await store.create('prompt.ends', { dtype: 'u32', shape: [count] });
    await store.write('prompt.ends', Float32Array.from(prompts.ends));
    const graphs = {
      forward: stepGraph({ ...options, forwardOnly: true }),
      'forward and backward': stepGraph(options),
      optimiser: updateGraph(trained, 'adam', LOSSES),
    };
    return {
      graphs,
      store,
      trained: trained.map(({ name }) => name),
      compile: (graph, planOptions) => clip.compile(graph, store, planOptions),
      destroy,
    };
  } catch (error) {
    destroy();
    throw error;
  }
}

/** Values that keep a step finite: random features and masks, every image counted, a learning rate of 0. */
export function trainingInputs(graph: Graph): Record<string, Float32Array<ArrayBuffer>> {
  const inputs: Record<string, Float32Array<ArrayBuffer>> = {};
  for (const [name, { type }] of graph.inputs) {
    const length = sizeOf(type);
    const value = {
      labels: (i: number) => i % 2,
      detWeights: () => 1 / length,
      segWeights: () => 1 / length,
      scale: () => 1,
      keep: (i: number) => i,
      clip: (i: number) => 1 - i,
      masks: (i: number) => Number(uniformAt(i) > 0.8),
      features: (i: number) => uniformAt(i),
    }[name];
    // hyper.*: rate, betas, epsilon, decay, corrections, active.
    const hyper = [0, 0.5, 0.999, 1e-8, 0, 2, 1000, 1];
    inputs[name] = Float32Array.from({ length }, (_, i) => (value ? value(i) : hyper[i]!));
  }
  return inputs;
}
