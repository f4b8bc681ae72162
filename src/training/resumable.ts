/** Whether a saved run can go on with these options here, and whether it will do so bit by bit. */
import type { Gpu } from '../runtime/device';
import { OptionError } from '../runtime/errors';
import { tableDigest } from '../runtime/tuned';
import type { TrainingOptions } from './options';
import type { TrainingState } from './state';
import type { TextSide } from './text-side';

/** Options that change the numbers: a resumed run must have the same. */
const NUMERIC = [
  'method',
  'imageSize',
  'stages',
  'contextVectors',
  'batch',
  'adapterRate',
  'promptRate',
  'optimiser',
  'betas',
  'epsilon',
  'momentum',
  'weightDecay',
  'schedule',
  'warmup',
  'maxNorm',
  'seed',
  'shuffle',
  'augment',
  'microBatch',
] as const;

/** @throws OptionError naming what differs from the saved run. */
export function checkResumable(
  { metadata }: TrainingState,
  options: TrainingOptions,
  identities: { weights: string; data: string },
  precision: string,
  text: TextSide,
): void {
  const refuse = (what: string, remedy: string): never => {
    throw new OptionError(`The saved run cannot be resumed: ${what}.`, remedy);
  };
  if (metadata.get('weights') !== identities.weights)
    refuse('it used other CLIP weights', 'Give the same --weights.');
  if (metadata.get('data') !== identities.data) {
    refuse('it used other images', 'Give the same data set, --shots, --shot-list and --seed.');
  }
  if (metadata.get('preset') !== options.preset.name)
    refuse(`it used preset ${metadata.get('preset')}`, 'Give the same.');
  if (metadata.get('precision') !== precision)
    refuse(`it used ${metadata.get('precision')}`, 'Give the same --precision.');
  if ('said' in text && metadata.get(text.said[0]) !== text.said[1])
    refuse('it used other sentences', 'Give the same --object or --prompts.');
  const saved = JSON.parse(metadata.get('config') ?? '{}') as Record<string, unknown>;
  const now = JSON.parse(numericConfig(options)) as Record<string, unknown>;
  for (const name of [...NUMERIC, 'total']) {
    const [before, after] = [saved[name], now[name]].map((value) => JSON.stringify(value));
    if (before !== after) refuse(`${name} was ${before} and is now ${after}`, 'Give the same options.');
  }
}

export function numericConfig(options: TrainingOptions): string {
  const numbers = Object.fromEntries(NUMERIC.map((name) => [name, options[name]]));
  // A falling rate depends on where the run ends; a constant one may be trained on for longer.
  const { schedule, epochs, steps } = options;
  return JSON.stringify({ ...numbers, ...(schedule !== 'constant' && { total: { epochs, steps } }) });
}

/** What sums are computed by, for the saved state: kernels add in different orders, so that another one repeats a run to rounding only. */
export function kernelsIdentity({ name, caps }: Pick<Gpu, 'name' | 'caps'>): string {
  return `${tableDigest(caps.tuned)} on ${name}`;
}

/** For people: why the rest of a run will not equal one without the stop bit by bit; undefined where it will, as far as known. */
export function kernelsNote({ metadata }: TrainingState, now: string): string | undefined {
  const saved = metadata.get('kernels');
  if (saved === undefined || saved === now) return undefined;
  const adapter = (text: string) => text.slice(text.indexOf(' '));
  const what = adapter(saved) === adapter(now) ? 'another table of tuned kernels' : 'another adapter';
  return `The saved steps ran with ${what}: the rest equals a run without the stop up to rounding, not bit by bit.`;
}
