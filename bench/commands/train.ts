import { positiveInteger } from '../../src/cli/options';
import { type MeasuringFlags, measuringCommand, precisionsOf } from '../measuring';
import type { ImageChoice } from '../model/image';
import { benchTrain } from '../model/train';
import { modelOption, precisionOption } from '../options';
import type { Ceilings } from '../record';
import type { Session } from '../session';

type Flags = MeasuringFlags & Omit<ImageChoice, 'model' | 'precision'> & { readonly model?: string };

export async function measureTrain(session: Session, flags: Flags, ceilings: Ceilings): Promise<void> {
  const model = flags.model ?? (session.gpu.caps.software ? 'tiny' : 'vitl14');
  for (const precision of precisionsOf(session, flags))
    await benchTrain(session, { ...flags, model, precision }, ceilings);
}

export const trainCommand = measuringCommand<Flags>({
  name: 'train',
  text: 'one training step: forward, backward, optimiser',
  declare: (command) =>
    command
      .addOption(precisionOption())
      .addOption(modelOption('tiny'))
      .option('--image-size <px>', 'side of the images', positiveInteger, 240)
      .option('--batch <n>', 'images a step', positiveInteger, 1),
  measure: measureTrain,
});
