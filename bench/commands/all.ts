import { benchKernels } from '../kernels/kernels';
import { type MeasuringFlags, measuringCommand } from '../measuring';
import { modelOption, precisionOption } from '../options';
import { measureBlock } from './block';
import { measureImage } from './image';

import { measureTrain } from './train';

/** With the defaults of each of the commands it stands for. */
export const allCommand = measuringCommand<MeasuringFlags & { readonly model?: string }>({
  name: 'all',
  text: 'ceilings, kernels, a block, an image, a training step',
  isDefault: true,
  ceilingRows: true,
  declare: (command) =>
    command.addOption(precisionOption()).addOption(modelOption('vitb32 (a training step: tiny)')),
  async measure(session, flags, ceilings) {
    await benchKernels(session, { variants: 'chosen', check: 'affordable' }, ceilings);
    await measureBlock(session, flags, ceilings);
    await measureImage(session, { ...flags, imageSize: 240, batch: 1 }, ceilings);
    await measureTrain(session, { ...flags, imageSize: 240, batch: 1 }, ceilings);
  },
});
