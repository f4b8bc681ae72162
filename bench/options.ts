/** Options that several commands have. */
import { InvalidArgumentError, Option } from 'commander';
import { SYNTHETIC_MODELS } from '../src/model/synthetic';

/** For commander's `argParser`: a time to spend, s. */
export function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0 && value <= 3600)) {
    throw new InvalidArgumentError('It must be a number of seconds, more than 0 and at most 3600.');
  }
  return value;
}

export const precisionOption = () =>
  new Option('--precision <type>', 'one storage type only').choices(['f32', 'f16']);

/** Stand-in weights. */
export const modelOption = (onSoftware = 'vitb32') =>
  new Option('--model <name>', `${onSoftware} on a software adapter, vitl14 on a GPU, unless told`).choices(
    SYNTHETIC_MODELS,
  );
