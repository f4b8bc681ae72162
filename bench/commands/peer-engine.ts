import type { BenchCommand } from '../command';
import { ENGINES } from '../peers/engines';
import { serve } from '../peers/serve';

/** What `peers` starts one process of for each engine. */
export const peerEngineCommand: BenchCommand = {
  name: 'peer-engine',
  text: 'answers `peers`',
  isHidden: true,
  declare: (command) => command.argument('<engine>'),
  run(_flags, [name]) {
    serve(ENGINES[name!]!.load);
    // It ends with its parent.
    return new Promise(() => {});
  },
};
