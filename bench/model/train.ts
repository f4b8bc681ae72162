/** Times one training step on stand-in weights: forward, forward and backward, optimiser, and the last two in turn. */
import { uniformAt } from '../../src/kernels/suite';
import { Clip } from '../../src/model/clip';
import { readClipConfig } from '../../src/model/clip-config';
import { AUTHORS } from '../../src/model/presets';
import { learnablePromptTokens } from '../../src/model/prompts';
import { syntheticCheckpoint, syntheticClip } from '../../src/model/synthetic';
import { BufferStore } from '../../src/runtime/buffer-store';
import type { Executable } from '../../src/runtime/executable';
import type { Graph } from '../../src/runtime/graph';
import { sizeOf } from '../../src/runtime/tensor-type';
import { parametersOf } from '../../src/training/parameters';
import {
  gradientName,
  type StepGraphOptions,
  stepGraph,
  trainedParameters,
} from '../../src/training/step-graph';
import { normsName, SLOTS, slotName, updateGraph } from '../../src/training/update-graph';
import { interleave } from '../measure';
import { type Ceilings, type Floor, rowOf } from '../record';
import type { Session } from '../session';
import { median } from '../stats';
import { assertFinite, floorOf } from './floor';
import type { ImageChoice } from './image';

interface Contender {
  sample(): Promise<number>;
}

const STAGES = 4;
const CONTEXT = 8;

export async function benchTrain(session: Session, choice: ImageChoice, ceilings: Ceilings): Promise<void> {
  const { gpu } = session;
  const { model, imageSize, batch, precision: dtype } = choice;
  gpu.requirePrecision(dtype);
  const source = syntheticClip(model);
  const config = readClipConfig(source);
  const clip = new Clip(gpu, source, config, dtype);
  const releaseText = clip.holdText();
  const bar = session.progress(`train ${model}`, 4);
  gpu.peakBytes = gpu.allocatedBytes;
  const before = gpu.allocatedBytes;
  const store = new BufferStore(gpu);
  const executables: Executable[] = [];
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
    await store.create(normsName(trained.length), { dtype: 'f32', shape: [trained.length] });
    const count = prompts.ends.length;
    await store.create('prompt.tokens', { dtype: 'f32', shape: [count, prompts.length, config.textWidth] });
    await store.write('prompt.tokens', prompts.tokens);
    await store.create('prompt.ends', { dtype: 'u32', shape: [count] });
    await store.write('prompt.ends', Float32Array.from(prompts.ends));
    const graphs: Readonly<Record<string, Graph>> = {
      forward: stepGraph({ ...options, forwardOnly: true }),
      'forward and backward': stepGraph(options),
      optimiser: updateGraph(trained, 'adam'),
    };
    const contenders: Contender[] = [];
    for (const graph of Object.values(graphs)) {
      const executable = await clip.compile(graph, store);
      executables.push(executable);
      const inputs = inputsOf(graph);
      for (const values of Object.values(await executable.run(inputs))) assertFinite(values);
      contenders.push({
        async sample() {
          const start = performance.now();
          await executable.run(inputs);
          return performance.now() - start;
        },
      });
    }
    const [, backward, update] = contenders as [unknown, Contender, Contender];
    contenders.push({ sample: async () => (await backward.sample()) + (await update.sample()) });
    const times = await interleave(contenders, { budgetMs: session.budgetMs, onDone: bar.step });
    const peakBytes = gpu.peakBytes - before;
    const name = `${model}, ${imageSize} px, batch ${batch}`;
    const floors = executables.map((executable) => floorOf(executable.plan));
    const [, last, optimiser] = floors as [Floor, Floor, Floor];
    floors.push({ flops: last.flops + optimiser.flops, bytes: last.bytes + optimiser.bytes });
    [...Object.keys(graphs), 'step'].forEach((variant, i) => {
      const ms = times[i]!;
      const whole = variant === 'step' && { peakBytes, imagesPerS: (1000 * batch) / median(ms) };
      const what = { suite: 'train', case: name, variant, dtype, floor: floors[i]!, ...whole };
      session.rows.push(rowOf(what, ms, ceilings));
    });
  } finally {
    bar.finish();
    for (const executable of executables) executable.destroy();
    store.destroy();
    releaseText();
    clip.vision.destroy();
  }
}

/** Values that keep a step finite: random features and masks, every image counted, a learning rate of 0. */
function inputsOf(graph: Graph): Record<string, Float32Array<ArrayBuffer>> {
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
