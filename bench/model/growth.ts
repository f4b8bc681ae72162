/** How cost grows: time an image over the batch, time of a memory bank's search over the images in the bank. */

import { nearestDistance } from '../../src/kernels/nearest-distance/nearest-distance';
import { uniformAt } from '../../src/kernels/suite';
import { readClipConfig, tokensOf } from '../../src/model/clip-config';
import { syntheticClip } from '../../src/model/synthetic';
import { loadWeights } from '../../src/model/weight-loader';
import { BufferStore } from '../../src/runtime/buffer-store';
import { Executable } from '../../src/runtime/executable';
import { plan } from '../../src/runtime/plan';
import { byteSize, sizeOf, tensorType } from '../../src/runtime/tensor-type';
import { type AddRepetition, GraphTimer, storeOf } from '../graph-timer';
import { interleave } from '../measure';
import { type Ceilings, type Floor, rowOf } from '../record';
import type { Session } from '../session';
import { median } from '../stats';
import { assertFinite, floorOf } from './floor';
import { type ImageChoice, imageGraph, imageInputs, imageSources, unitRows } from './image';

export const SUITE = 'growth';

/** Rows `batch <n>` of the whole model: median time of a batch; all batches take turns. */
export async function benchBatches(
  session: Session,
  choice: Omit<ImageChoice, 'batch'>,
  batches: readonly number[],
  ceilings: Ceilings,
): Promise<void> {
  const { gpu } = session;
  const { model, imageSize, precision: dtype } = choice;
  gpu.requirePrecision(dtype);
  const bar = session.progress(`growth ${model} ${dtype}`, 2 * batches.length);
  const weights = new BufferStore(gpu);
  const executables: Executable[] = [];
  try {
    for (const batch of batches) {
      const graph = imageGraph({ ...choice, batch });
      await loadWeights(graph, weights, imageSources(model));
      const executable = await Executable.compile(gpu, plan(graph, gpu.caps), weights);
      executables.push(executable);
      assertFinite((await executable.run(imageInputs({ ...choice, batch }))).map!);
      bar.step();
    }
    const contenders = executables.map((executable, i) => {
      const inputs = imageInputs({ ...choice, batch: batches[i]! });
      return {
        async sample() {
          const start = performance.now();
          await executable.run(inputs);
          return performance.now() - start;
        },
      };
    });
    const times = await interleave(contenders, { budgetMs: session.budgetMs, onDone: bar.step });
    const name = `${model}, ${imageSize} px`;
    for (const [i, batch] of batches.entries()) {
      const ms = times[i]!;
      const floor = floorOf(executables[i]!.plan);
      const imagesPerS = (1000 * batch) / median(ms);
      const what = { suite: SUITE, case: name, variant: `batch ${batch}`, dtype, floor, imagesPerS };
      session.rows.push(rowOf(what, ms, ceilings));
    }
    note(session, `${name}, ${dtype}`, 'an image', batches, times);
  } finally {
    bar.finish();
    for (const executable of executables) executable.destroy();
    weights.destroy();
  }
}

interface Searched {
  /** Images in the bank. */
  readonly k: number;
  readonly timer: GraphTimer;
  readonly store: BufferStore;
  /** Of one search. */
  readonly floor: Floor;
}

/** Rows `<k> images`: one image's features of one stage searched in a bank of k images' (paper, section 3.4); all k take turns. */
export async function benchBank(
  session: Session,
  { model, imageSize, precision: dtype }: Omit<ImageChoice, 'batch'>,
  images: readonly number[],
  ceilings: Ceilings,
): Promise<void> {
  const { gpu } = session;
  gpu.requirePrecision(dtype);
  const config = readClipConfig(syntheticClip(model));
  const tokens = tokensOf({ config, imageSize });
  const patches = tokens - 1;
  const { embed } = config;
  const name = `search of a bank, ${patches} patches an image, ${embed} wide`;
  const bar = session.progress(`growth bank ${dtype}`, 2 * images.length);
  const query = tensorType(dtype, [1, tokens, embed]);
  const ready: Searched[] = [];
  try {
    for (const k of images) {
      const type = tensorType(dtype, [k * patches, embed]);
      if (byteSize(type) > gpu.caps.maxBindingBytes) {
        const reason = `its ${byteSize(type)} bytes do not fit a binding of ${gpu.caps.maxBindingBytes}`;
        session.skipped.push({ suite: SUITE, case: `${name} ${dtype}`, variant: `${k} images`, reason });
        bar.step();
        bar.step();
        continue;
      }
      const values = Float32Array.from({ length: sizeOf(query) }, (_, i) => uniformAt(i, 3));
      const store = await storeOf(gpu, [
        { type: query, values },
        { type, values: unitRows(k * patches, embed) },
      ]);
      const add: AddRepetition = (g, repeat) => {
        const q = g.weight('x0', dtype, query.shape);
        const tile = g.weight('x1', dtype, type.shape);
        g.output(`y.${repeat}`, nearestDistance(g, q, [tile], { skip: 1 }));
      };
      const timer = await GraphTimer.create(session, add, { weights: store });
      ready.push({ k, timer, store, floor: floorOf(timer.plan) });
      assertFinite((await timer.run())['y.0']!);
      await timer.calibrate(add, { weights: store });
      bar.step();
    }
    const times = await interleave(
      ready.map(({ timer }) => timer),
      { budgetMs: session.budgetMs, onDone: bar.step },
    );
    for (const [i, { k, floor }] of ready.entries()) {
      const what = { suite: SUITE, case: name, variant: `${k} images`, dtype, floor };
      session.rows.push(rowOf(what, times[i]!, ceilings));
    }
    note(
      session,
      `${name}, ${dtype}`,
      'an image of the bank',
      ready.map(({ k }) => k),
      times,
    );
  } finally {
    bar.finish();
    for (const { timer, store } of ready) {
      timer.destroy();
      store.destroy();
    }
  }
}

/** Cost of one, over the sizes: the same number again and again is linear. */
function note(
  session: Session,
  what: string,
  one: string,
  sizes: readonly number[],
  times: readonly (readonly number[])[],
): void {
  const each = sizes.map((size, i) => `${(median(times[i]!) / size).toPrecision(3)} (${size})`);
  session.notes.push(`growth: ${what}: ms ${one}: ${each.join(', ')}.`);
}
