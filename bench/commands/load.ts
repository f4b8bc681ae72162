import { Option } from 'commander';
import { positiveInteger } from '../../src/cli/options';
import type { Precision } from '../../src/runtime/device';
import { type MeasuringFlags, measuringCommand, precisionsOf } from '../measuring';
import { benchLoad } from '../model/load';
import { modelOption, precisionOption } from '../options';

interface Flags extends MeasuringFlags {
  readonly model?: string;
  readonly imageSize: number;
  readonly stored?: Precision;
}

export const loadCommand = measuringCommand<Flags>({
  name: 'load',
  text: 'weights from a file to the device, beside reading and writing them alone',
  declare: (command) =>
    command
      .addOption(precisionOption())
      .addOption(modelOption('tiny'))
      .addOption(
        new Option('--stored <type>', 'type in the file; as the model keeps it, unless told').choices([
          'f32',
          'f16',
        ]),
      )
      .option('--image-size <px>', 'side of the images', positiveInteger, 240),
  async measure(session, { imageSize, stored, ...flags }) {
    const model = flags.model ?? (session.gpu.caps.software ? 'tiny' : 'vitl14');
    for (const precision of precisionsOf(session, flags))
      await benchLoad(session, { model, imageSize, precision, ...(stored && { stored }) });
  },
});
