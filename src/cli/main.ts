#!/usr/bin/env node
/** The command line: one file per command under commands/. */
import { Command, CommanderError } from 'commander';
import { version } from '../io/version';
import { MlaLpError } from '../runtime/errors';
import { registerConvert } from './commands/convert';
import { registerData } from './commands/data';
import { registerDemo } from './commands/demo';
import { registerDetect } from './commands/detect';
import { registerDoctor } from './commands/doctor';
import { registerEval } from './commands/eval';
import { registerMerge } from './commands/merge';
import { registerReproduce } from './commands/reproduce';
import { registerTrain } from './commands/train';
import { registerTrainZero } from './commands/train-zero';
import { registerWeights } from './commands/weights';
import { exitCode } from './exit-code';

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

const program = new Command('mla-lp')
  .description('Abnormality detection in medical images on WebGPU kernels. Not a medical device.')
  .version(version)
  .showHelpAfterError('(see mla-lp --help)')
  .exitOverride();

registerDetect(program);
registerTrain(program);
registerTrainZero(program);
registerConvert(program);
registerEval(program);
registerMerge(program);
registerReproduce(program);
registerData(program);
registerDemo(program);
registerWeights(program);
registerDoctor(program);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else if (error instanceof MlaLpError) {
    console.error(`mla-lp: ${error.message}`);
    // After a signal the command may have set that signal's own code.
    process.exitCode ??= exitCode(error);
  } else {
    console.error(error);
    console.error('mla-lp: this is a bug; please report it with the output of `mla-lp doctor`.');
    process.exitCode = 70;
  }
}
// Dawn's threads would keep the process alive; what was printed goes out first.
process.stdout.write('', () => process.exit());
