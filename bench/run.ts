/** Runs what the options ask for on an opened device. */
import type { Gpu, Precision } from '../src/runtime/device';
import { measureCeilings } from './ceiling/ceiling';
import { benchKernels, chooseCases } from './kernels/kernels';
import { benchBlock } from './model/block';
import { benchFolder } from './model/folder';
import { benchImage } from './model/image';
import { benchTrain } from './model/train';
import type { BenchOptions } from './options';
import { type BenchRecord, commit, describeDevice, versions } from './record';
import { Session } from './session';

export async function runBench(gpu: Gpu, options: BenchOptions): Promise<BenchRecord> {
  const { command } = options;
  const { software } = gpu.caps;
  const wants = (name: BenchOptions['command']) => command === name || command === 'all';
  // Mistakes in the options show before minutes have passed.
  if (wants('kernels')) chooseCases(options);
  if (options.precision) gpu.requirePrecision(options.precision);

  const session = new Session(gpu, {
    budget: options.budget ?? (software ? 0.5 : 1),
    ...(options.quiet && { quiet: true }),
  });
  const date = new Date().toISOString();
  const ceilings = await measureCeilings(session, wants('ceiling'));
  if (!wants('ceiling')) session.rows.length = 0;
  if (wants('kernels')) await benchKernels(session, options, ceilings);
  const precisions: readonly Precision[] = options.precision
    ? [options.precision]
    : gpu.caps.f16
      ? ['f32', 'f16']
      : ['f32'];
  if (wants('block')) await benchBlock(session, precisions, ceilings);
  if (wants('image')) {
    const model = options.model ?? (software ? 'vitb32' : 'vitl14');
    for (const precision of precisions) await benchImage(session, { ...options, model, precision }, ceilings);
  }
  if (command === 'folder') {
    const model = options.model ?? (software ? 'tiny' : 'vitl14');
    for (const precision of precisions.slice(0, software ? 1 : 2))
      await benchFolder(session, { ...options, model, precision });
  }
  if (wants('train')) {
    const model = options.model ?? (software ? 'tiny' : 'vitl14');
    for (const precision of precisions) await benchTrain(session, { ...options, model, precision }, ceilings);
  }
  const hash = await commit();
  return {
    device: describeDevice(gpu),
    versions: await versions(),
    date,
    ...(hash && { commit: hash }),
    clock: session.clock,
    ceilings,
    rows: session.rows,
    skipped: session.skipped,
    failed: session.failed,
    ...(session.notes.length > 0 && { notes: session.notes }),
  };
}
