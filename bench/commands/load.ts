import { positiveInteger } from '../../src/cli/options';
import { type MeasuringFlags, measuringCommand, precisionsOf } from '../measuring';
import { benchLoad } from '../model/load';
import { modelOption, precisionOption } from '../options';

type Flags = MeasuringFlags & { readonly model?: string; readonly imageSize: number };

export const loadCommand = measuringCommand<Flags>({
  name: 'load',
  text: 'weights from a file to the device, beside a plain read of the file',
  declare: (command) =>
    command
      .addOption(precisionOption())
      .addOption(modelOption('tiny'))
      .option('--image-size <px>', 'side of the images', positiveInteger, 240),
  async measure(session, { imageSize, ...flags }) {
    const model = flags.model ?? (session.gpu.caps.software ? 'tiny' : 'vitl14');
    for (const precision of precisionsOf(session, flags))
      await benchLoad(session, { model, imageSize, precision });
  },
});
