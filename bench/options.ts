/** Options that several commands have. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { positiveInteger } from '../src/cli/options';
import { SYNTHETIC_MODELS } from '../src/model/synthetic';

/** For commander's `argParser`: a time to spend, s. */
export function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0 && value <= 3600)) {
    throw new InvalidArgumentError('It must be a number of seconds, more than 0 and at most 3600.');
  }
  return value;
}

/** For commander's `argParser`: whole numbers over 0, comma between. */
export const numberList = (text: string): number[] => text.split(',').map((one) => positiveInteger(one));

/** What every command that times something takes; `MeasuringFlags` in measuring.ts. */
export function measuringOptions(command: Command): Command {
  return command
    .option('--json <file>', 'also write the results as JSON')
    .option('--budget <seconds>', 'time for each row (0.5 on a software adapter, 1 on a GPU)', seconds)
    .option('--quiet', 'no progress on stderr');
}

export const precisionOption = () =>
  new Option('--precision <type>', 'one storage type only').choices(['f32', 'f16']);

/** Stand-in weights. */
export const modelOption = (onSoftware = 'vitb32') =>
  new Option('--model <name>', `${onSoftware} on a software adapter, vitl14 on a GPU, unless told`).choices(
    SYNTHETIC_MODELS,
  );
