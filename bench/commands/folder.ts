import { positiveInteger } from '../../src/cli/options';
import { type MeasuringFlags, measuringCommand, precisionsOf } from '../measuring';
import { benchFolder, type FolderChoice } from '../model/folder';
import { modelOption, precisionOption } from '../options';

type Flags = MeasuringFlags & Omit<FolderChoice, 'model' | 'precision'> & { readonly model?: string };

export const folderCommand = measuringCommand<Flags>({
  name: 'folder',
  text: 'an evaluation over many image files: what each stage is busy with',
  declare: (command) =>
    command
      .addOption(precisionOption())
      .addOption(modelOption('tiny'))
      .option('--image-size <px>', 'side that the model runs at', positiveInteger, 240)
      .option('--batch <n>', 'images a run', positiveInteger, 1)
      .option('--images <n>', 'phantoms to draw', positiveInteger, 200)
      .option('--data <dataset>', 'a labelled data set instead of phantoms'),
  async measure(session, flags) {
    const { software } = session.gpu.caps;
    const model = flags.model ?? (software ? 'tiny' : 'vitl14');
    for (const precision of precisionsOf(session, flags).slice(0, software ? 1 : 2))
      await benchFolder(session, { ...flags, model, precision });
  },
});
