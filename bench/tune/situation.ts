/** Where variants are tuned: whole graphs with weights and inputs, of the model's real shapes. */
import { loadWeights } from '../../src/model/weight-loader';
import { BufferStore } from '../../src/runtime/buffer-store';
import type { Gpu } from '../../src/runtime/device';
import { Executable, type InputData, type OutputData } from '../../src/runtime/executable';
import type { Graph } from '../../src/runtime/graph';
import { plan } from '../../src/runtime/plan';
import type { TunedTable } from '../../src/runtime/tuned';
import { gradientName } from '../../src/training/step-graph';
import { type ImageChoice, imageGraph, imageInputs, imageSources } from '../model/image';
import { setUpTraining, trainingInputs } from '../model/training-setup';

export interface Situation {
  /** For people and rows. */
  readonly name: string;
  readonly graph: Graph;
  readonly inputs: Readonly<Record<string, InputData>>;
  compile(table: TunedTable): Promise<Executable>;
  /** What a run changed in place. */
  readEffects?(): Promise<OutputData[]>;
  destroy(): void;
}

export interface SituationChoice extends ImageChoice {
  /** Of the image tower: fewer have the same calls, and less to run. All without it. */
  readonly layers?: number;
}

const nameOf = ({ model, imageSize, batch, precision, layers }: SituationChoice) =>
  `${model}${layers ? ` of ${layers} blocks` : ''}, ${imageSize} px, batch ${batch}, ${precision}`;

/** One image through tower, adapters and heads. */
export async function imageSituation(gpu: Gpu, choice: SituationChoice): Promise<Situation> {
  gpu.requirePrecision(choice.precision);
  const graph = imageGraph(choice, choice.layers);
  const weights = new BufferStore(gpu);
  try {
    await loadWeights(graph, weights, imageSources(choice.model));
  } catch (error) {
    weights.destroy();
    throw error;
  }
  return {
    name: `image ${nameOf(choice)}`,
    graph,
    inputs: imageInputs(choice),
    compile: (tuned) => Executable.compile(gpu, plan(graph, gpu.caps, { tuned }), weights),
    destroy: () => weights.destroy(),
  };
}

/** The graphs of a training step, one situation each; the first one's `destroy` frees what they share. */
export async function trainingSituations(gpu: Gpu, choice: SituationChoice): Promise<Situation[]> {
  const setup = await setUpTraining(gpu, choice, choice.layers);
  const { graphs, store, trained } = setup;
  const situation = (what: string, graph: Graph): Situation => ({
    name: `${what}, ${nameOf(choice)}`,
    graph,
    inputs: trainingInputs(graph),
    compile: (tuned) => setup.compile(graph, { tuned }),
    destroy: () => {},
  });
  return [
    {
      ...situation('forward and backward', graphs['forward and backward']),
      readEffects: () => Promise.all(trained.map((name) => store.read(gradientName(name)))),
      destroy: () => setup.destroy(),
    },
    situation('optimiser', graphs.optimiser),
  ];
}
