import { type MeasuringFlags, measuringCommand, precisionsOf } from '../measuring';
import { benchBlock } from '../model/block';
import { precisionOption } from '../options';
import type { Ceilings } from '../record';
import type { Session } from '../session';

export async function measureBlock(session: Session, flags: MeasuringFlags, ceilings: Ceilings) {
  await benchBlock(session, precisionsOf(session, flags), ceilings);
}

export const blockCommand = measuringCommand<MeasuringFlags>({
  name: 'block',
  text: 'one ViT-L/14 block of 290 tokens',
  declare: (command) => command.addOption(precisionOption()),
  measure: measureBlock,
});
