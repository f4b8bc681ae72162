import { positiveInteger } from '../../src/cli/options';
import { type MeasuringFlags, measuringCommand, precisionsOf } from '../measuring';
import { benchImage, type ImageChoice } from '../model/image';
import { modelOption, precisionOption } from '../options';
import type { Ceilings } from '../record';
import type { Session } from '../session';

type Flags = MeasuringFlags & Omit<ImageChoice, 'model' | 'precision'> & { readonly model?: string };

export async function measureImage(session: Session, flags: Flags, ceilings: Ceilings): Promise<void> {
  const model = flags.model ?? (session.gpu.caps.software ? 'vitb32' : 'vitl14');
  for (const precision of precisionsOf(session, flags))
    await benchImage(session, { ...flags, model, precision }, ceilings);
}

export const imageCommand = measuringCommand<Flags>({
  name: 'image',
  text: 'one image through tower and heads, from nothing to the first result and on',
  declare: (command) =>
    command
      .addOption(precisionOption())
      .addOption(modelOption())
      .option('--image-size <px>', 'side of the image', positiveInteger, 240)
      .option('--batch <n>', 'images at once', positiveInteger, 1),
  measure: measureImage,
});
