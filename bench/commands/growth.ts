import { positiveInteger } from '../../src/cli/options';
import type { Precision } from '../../src/runtime/device';
import { type MeasuringFlags, measuringCommand, precisionsOf } from '../measuring';
import { benchBank, benchBatches } from '../model/growth';
import { modelOption, numberList, precisionOption } from '../options';

interface Flags extends MeasuringFlags {
  readonly model?: string;
  readonly imageSize: number;
  readonly batches?: readonly number[];
  readonly bank?: readonly number[];
  readonly precision?: Precision;
}

export const growthCommand = measuringCommand<Flags>({
  name: 'growth',
  text: 'cost over the batch, and of a memory bank over the images in it: is it linear?',
  declare: (command) =>
    command
      .addOption(precisionOption())
      .addOption(modelOption())
      .option('--image-size <px>', 'side of the images', positiveInteger, 240)
      .option(
        '--batches <numbers>',
        'images at once (1,2,4 on a software adapter, 1 to 32 on a GPU)',
        numberList,
      )
      .option(
        '--bank <numbers>',
        'images in the bank (1,2,4,8 on a software adapter, 4 to 256 on a GPU)',
        numberList,
      ),
  async measure(session, flags, ceilings) {
    const { software } = session.gpu.caps;
    const model = flags.model ?? (software ? 'vitb32' : 'vitl14');
    const batches = flags.batches ?? (software ? [1, 2, 4] : [1, 2, 4, 8, 16, 32]);
    const bank = flags.bank ?? (software ? [1, 2, 4, 8] : [4, 16, 64, 256]);
    for (const precision of precisionsOf(session, flags)) {
      const choice = { model, imageSize: flags.imageSize, precision };
      await benchBatches(session, choice, batches, ceilings);
      await benchBank(session, choice, bank, ceilings);
    }
  },
});
