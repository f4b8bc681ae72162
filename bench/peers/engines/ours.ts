import { loadTuning } from '../../../src/io/node/tuned-files';
import { version } from '../../../src/io/version';
import { gatherRows } from '../../../src/kernels/gather-rows/gather-rows';
import { gemm } from '../../../src/kernels/gemm/gemm';
import { syntheticClip } from '../../../src/model/synthetic';
import { loadWeights } from '../../../src/model/weight-loader';
import { acquireAdapter } from '../../../src/platform/node/adapter';
import { BufferStore, lookupIn } from '../../../src/runtime/buffer-store';
import { Gpu } from '../../../src/runtime/device';
import { Executable } from '../../../src/runtime/executable';
import { Graph } from '../../../src/runtime/graph';
import { plan } from '../../../src/runtime/plan';
import { byteSize, tensorType } from '../../../src/runtime/tensor-type';
import { storeOf } from '../../graph-timer';
import { floorOf } from '../../model/floor';
import type { Engine, Prepared, Task } from '../engine';
import { gemmWeight, operandOf, resultShape, transpose, visionGraph } from '../workloads';

export async function loadOurs(): Promise<Engine> {
  const choice = await acquireAdapter();
  const tuning = await loadTuning(choice.adapter.info, choice.software);
  const gpu = await Gpu.open(choice, tuning);
  const rows = tuning?.table.size ?? 0;
  return {
    version,
    dtypes: gpu.caps.f16 ? ['f32', 'f16'] : ['f32'],
    adapter: gpu.info,
    ...(rows > 0 && { note: `a tuned table of this device has ${rows} rows` }),
    prepare: (task, repeats) =>
      task.work.kind === 'tower' ? prepareTower(gpu, task) : prepareResident(gpu, task, repeats),
  };
}

/** Repetitions in one graph: more are further submits. */
const MOST_IN_GRAPH = 16;
/** Repeated GEMMs keep their outputs: no more than this many bytes of them. */
const MOST_BYTES = 256 * 1024 * 1024;

/** A GEMM or a block on operands that lie on the device. */
async function prepareResident(gpu: Gpu, { work, dtype }: Task, repeats: number): Promise<Prepared> {
  const { shape, values } = operandOf(work);
  const type = tensorType(dtype, [...shape]);
  const operands = [{ type, values: Float32Array.from(values) }];
  if (work.kind === 'gemm') {
    const { depth, columns } = work;
    const w = transpose(gemmWeight(work), depth, columns);
    operands.push({ type: tensorType(dtype, [columns, depth]), values: w });
  }
  const outputBytes = byteSize(tensorType(dtype, resultShape(work)));
  const room = work.kind === 'gemm' ? Math.max(1, Math.floor(MOST_BYTES / outputBytes)) : MOST_IN_GRAPH;
  const inGraph = Math.min(repeats, room, MOST_IN_GRAPH);
  const submits = Math.ceil(repeats / inGraph);

  const build = (count: number) => {
    const g = new Graph();
    let x = g.weight('x0', dtype, [...shape]);
    for (let r = 0; r < count; r++) {
      if (work.kind === 'gemm') {
        g.output(`y${r}`, gemm(g, x, g.weight('x1', dtype, [work.columns, work.depth])));
      } else {
        x = visionGraph(g, x, work as Exclude<typeof work, { kind: 'tower' }>, dtype);
        if (r === 0 || r === count - 1) g.output(`y${r}`, x);
      }
    }
    return g;
  };
  const store = await storeOf(gpu, operands);
  const weights = new BufferStore(gpu);
  const graph = build(inGraph);
  const names = [...graph.weights].filter(([name]) => !store.has(name));
  if (work.kind !== 'gemm')
    await loadWeights({ weights: new Map(names) }, weights, [syntheticClip(work.model)]);
  const executable = await Executable.compile(gpu, plan(graph, gpu.caps), lookupIn(store, weights));
  return {
    repeats: inGraph * submits,
    floor: floorOf(plan(build(1), gpu.caps)),
    async run() {
      const runs: Promise<unknown>[] = [];
      for (let i = 0; i < submits; i++) runs.push(executable.run({}, { wanted: [] }));
      await Promise.all(runs);
      await gpu.idle();
    },
    result: async () => (await executable.run({}, { wanted: ['y0'] })).y0 as Float32Array,
    async destroy() {
      executable.destroy();
      store.destroy();
      weights.destroy();
    },
  };
}

/** A whole image tower: images come from the host, the class tokens go back. */
async function prepareTower(gpu: Gpu, { work, dtype }: Task): Promise<Prepared> {
  if (work.kind !== 'tower') throw new TypeError('not a tower');
  const [batch, tokens, width] = resultShape(work) as [number, number, number];
  const { shape, values } = operandOf(work);
  const g = new Graph();
  const y = visionGraph(g, g.input('images', 'f32', [...shape]), work, dtype);
  const first = g.input('first', 'u32', [batch]);
  g.output('tokens', y);
  g.output('class', gatherRows(g, g.reshape(y, [batch * tokens, width]), first));
  const weights = new BufferStore(gpu);
  await loadWeights(g, weights, [syntheticClip(work.model)]);
  const planned = plan(g, gpu.caps);
  const executable = await Executable.compile(gpu, planned, weights);
  const inputs = {
    images: Float32Array.from(values),
    first: Uint32Array.from({ length: batch }, (_, b) => b * tokens),
  };
  return {
    repeats: 1,
    floor: floorOf(planned),
    run: async () => void (await executable.run(inputs, { wanted: ['class'] })),
    result: async () => (await executable.run(inputs, { wanted: ['tokens'] })).tokens as Float32Array,
    async destroy() {
      executable.destroy();
      weights.destroy();
    },
  };
}
