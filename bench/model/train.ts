/** Times one training step on stand-in weights: forward, forward and backward, optimiser, and the last two in turn. */
import type { Executable } from '../../src/runtime/executable';
import { interleave } from '../measure';
import { type Ceilings, type Floor, rowOf } from '../record';
import type { Session } from '../session';
import { median } from '../stats';
import { assertFinite, floorOf } from './floor';
import type { ImageChoice } from './image';
import { setUpTraining, trainingInputs } from './training-setup';

interface Contender {
  sample(): Promise<number>;
}

export async function benchTrain(session: Session, choice: ImageChoice, ceilings: Ceilings): Promise<void> {
  const { gpu } = session;
  const { model, imageSize, batch, precision: dtype } = choice;
  const bar = session.progress(`train ${model}`, 4);
  gpu.peakBytes = gpu.allocatedBytes;
  const before = gpu.allocatedBytes;
  const setup = await setUpTraining(gpu, choice);
  const { graphs } = setup;
  const executables: Executable[] = [];
  try {
    const contenders: Contender[] = [];
    for (const graph of Object.values(graphs)) {
      const executable = await setup.compile(graph);
      executables.push(executable);
      const inputs = trainingInputs(graph);
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
    setup.destroy();
  }
}
