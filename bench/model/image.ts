/** Times one whole image: tower, adapters and heads, from nothing on the device to the first result and beyond. */

import { uniformAt } from '../../src/kernels/suite';
import { readClipConfig } from '../../src/model/clip-config';
import { mlaLpGraph } from '../../src/model/mla-lp-graph';
import { AUTHORS } from '../../src/model/presets';
import { syntheticCheckpoint, syntheticClip } from '../../src/model/synthetic';
import type { TensorSource } from '../../src/model/tensor-source';
import { loadWeights } from '../../src/model/weight-loader';
import { BufferStore } from '../../src/runtime/buffer-store';
import type { Precision } from '../../src/runtime/device';
import { Executable } from '../../src/runtime/executable';
import type { Graph } from '../../src/runtime/graph';
import { plan } from '../../src/runtime/plan';
import { interleave } from '../measure';
import { type Ceilings, rowOf } from '../record';
import type { Session } from '../session';
import { assertFinite, floorOf } from './floor';

export interface ImageChoice {
  /** Name of stand-in weights. */
  readonly model: string;
  /** Side, px. */
  readonly imageSize: number;
  readonly batch: number;
  readonly precision: Precision;
}

const STAGES = 4;

export async function benchImage(session: Session, choice: ImageChoice, ceilings: Ceilings): Promise<void> {
  const { gpu } = session;
  const { model, imageSize, batch, precision: dtype } = choice;
  gpu.requirePrecision(dtype);
  const name = `${model}, ${imageSize} px, batch ${batch}`;
  const sources = imageSources(model);
  const bar = session.progress(`image ${name}`, 4);
  // The whole session's peak would hide this one's.
  gpu.peakBytes = gpu.allocatedBytes;
  const before = gpu.allocatedBytes;
  const weights = new BufferStore(gpu);
  let executable: Executable | undefined;
  try {
    const whole = stopwatch();
    const clock = stopwatch();
    const graph = imageGraph(choice);
    const planned = plan(graph, gpu.caps);
    const planMs = clock();
    // As `Clip.compile` does: pipelines compile while weights are read and uploaded.
    const compiling = stopwatch();
    const compiled = Executable.prepare(gpu, planned).then(compiling);
    const reading = new Reading();
    await loadWeights(graph, weights, sources.map(reading.watch));
    const weightsMs = clock();
    bar.step();
    executable = await Executable.compile(gpu, planned, weights);
    const compileMs = await compiled;
    const leftMs = clock();
    bar.step();
    const inputs = imageInputs(choice);
    clock();
    const first = await executable.run(inputs);
    const firstMs = clock();
    const wholeMs = whole();
    bar.step();
    assertFinite(first.map!);

    const model = executable;
    const sample = async () => {
      const time = stopwatch();
      await model.run(inputs);
      return time();
    };
    const [steady] = await interleave([{ sample }], {
      budgetMs: session.budgetMs,
      onDone: bar.step,
    });
    const peakBytes = gpu.peakBytes - before;
    const floor = floorOf(planned);
    const none = { flops: 0, bytes: 0 };
    const row = (variant: string, ms: readonly number[], work = none, peak?: number) =>
      rowOf(
        { suite: 'image', case: name, variant, dtype, floor: work, ...(peak && { peakBytes: peak }) },
        ms,
        work.flops > 0 ? ceilings : undefined,
      );
    session.rows.push(
      row('plan', [planMs]),
      row('make and upload weights', [weightsMs], { flops: 0, bytes: weights.bytes }),
      row('of these: making them', [reading.ms]),
      row('compile, beside the weights', [compileMs]),
      row('compile, after the weights', [leftMs]),
      row('first run', [firstMs], floor),
      row('first result', [wholeMs], floor),
      row('steady', steady!, floor, peakBytes),
    );
  } finally {
    bar.finish();
    executable?.destroy();
    weights.destroy();
  }
}

/** Time in which at least one tensor was read, or made. */
class Reading {
  ms = 0;
  #since = 0;
  #pending = 0;

  readonly watch = (source: TensorSource): TensorSource => ({
    ...source,
    read: async (...range) => {
      if (this.#pending++ === 0) this.#since = performance.now();
      try {
        return await source.read(...range);
      } finally {
        if (--this.#pending === 0) this.ms += performance.now() - this.#since;
      }
    },
  });
}

/** Milliseconds since the last call, or since it was made. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const ms = now - last;
    last = now;
    return ms;
  };
}

/** Weights of the graph. */
export function imageSources(model: string): readonly TensorSource[] {
  return [syntheticClip(model), syntheticCheckpoint(model)];
}

/** @param layers of the image tower; all without it. */
export function imageGraph(
  { model, imageSize, batch, precision: dtype }: ImageChoice,
  layers?: number,
): Graph {
  const whole = readClipConfig(syntheticClip(model));
  return mlaLpGraph({
    config: { ...whole, layers: layers ?? whole.layers },
    preset: AUTHORS,
    activation: AUTHORS.activation,
    dtype,
    batch,
    imageSize,
    stages: STAGES,
  });
}

/** Pixels, and unit rows for the text columns: encoding prompts happens once a model, not once an image. */
export function imageInputs({
  model,
  imageSize,
  batch,
}: ImageChoice): Record<string, Float32Array<ArrayBuffer>> {
  const { embed } = readClipConfig(syntheticClip(model));
  const images = Float32Array.from({ length: batch * 3 * imageSize ** 2 }, (_, i) => (uniformAt(i) + 1) / 2);
  return { images, text: unitRows(2, embed) };
}

/** Rows of length 1: text columns, banks. */
export function unitRows(rows: number, width: number): Float32Array<ArrayBuffer> {
  const values = Float32Array.from({ length: rows * width }, (_, i) => uniformAt(i, 5));
  for (let r = 0; r < rows; r++) {
    const row = values.subarray(r * width, (r + 1) * width);
    const length = Math.hypot(...row);
    for (let i = 0; i < width; i++) row[i] = row[i]! / length;
  }
  return values;
}
