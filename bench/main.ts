/** `npm run bench`: text on stdout, progress on stderr, JSON where --json says. One file a command under commands/. */
import { CommanderError } from 'commander';
import { MlaLpError } from '../src/runtime/errors';
import { parseArguments } from './command';
import { commands } from './commands';

try {
  await parseArguments(process.argv.slice(2), commands).run();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else if (error instanceof MlaLpError) {
    console.error(`bench: ${error.message}`);
    process.exitCode = error.code === 'bad-option' ? 2 : 1;
  } else {
    console.error(error);
    process.exitCode = 70;
  }
}
// Dawn's threads would keep the process alive; what was printed goes out first.
process.stdout.write('', () => process.exit());
