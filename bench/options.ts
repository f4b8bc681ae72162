/** What the command line asks for. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { positiveInteger } from '../src/cli/options';
import { SYNTHETIC_MODELS } from '../src/model/synthetic';
import type { Precision } from '../src/runtime/device';
import type { CheckMode } from './kernels/check';

export type BenchCommand = 'all' | 'ceiling' | 'kernels' | 'block' | 'image' | 'train' | 'folder';

export interface BenchOptions {
  readonly command: BenchCommand;
  /** Where the JSON goes; none without it. */
  readonly json?: string;
  /** Time for each row, s; by adapter without it. */
  readonly budget?: number;
  readonly quiet?: boolean;
  /** kernels: op name, part of a case's name, which variants, which references. */
  readonly op?: string;
  readonly case?: string;
  readonly variants: 'all' | 'chosen';
  readonly check: CheckMode;
  /** block, image: storage types; all that the device has without it. */
  readonly precision?: Precision;
  /** image, train: stand-in weights; by adapter without it. */
  readonly model?: string;
  readonly imageSize: number;
  readonly batch: number;
  /** folder: a labelled data set; drawn phantoms without it, so many. */
  readonly data?: string;
  readonly images: number;
}

const DEFAULTS = { variants: 'chosen', check: 'affordable', imageSize: 240, batch: 1, images: 200 } as const;

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0 && value <= 3600)) {
    throw new InvalidArgumentError('It must be a number of seconds, more than 0 and at most 3600.');
  }
  return value;
}

/**
 * @param args without node and script.
 * @throws CommanderError for anything unknown, and (exit code 0) after printing help.
 */
export function parseArguments(args: readonly string[]): BenchOptions {
  let parsed: BenchOptions | undefined;
  const program = new Command('bench')
    .description('times mla-lp on this device; without a command: everything')
    .exitOverride()
    .showHelpAfterError('(see npm run bench -- --help)');
  const add = (command: BenchCommand, text: string, isDefault = false) =>
    program
      .command(command, { isDefault })
      .description(text)
      .allowExcessArguments(false)
      .option('--json <file>', 'also write the results as JSON')
      .option('--budget <seconds>', 'time for each row (0.5 on a software adapter, 1 on a GPU)', seconds)
      .option('--quiet', 'no progress on stderr')
      .action((flags: Omit<BenchOptions, 'command'>) => {
        parsed = { ...DEFAULTS, ...flags, command };
      });
  const variants = new Option(
    '--variants <which>',
    "every variant of a kernel, or the engine's choice",
  ).choices(['all', 'chosen']);
  const check = new Option(
    '--check <which>',
    'compare large cases with their own reference (minutes), or with a smaller case of the same kernel',
  ).choices(['affordable', 'all']);
  const precision = new Option('--precision <type>', 'one storage type only').choices(['f32', 'f16']);
  const model = new Option('--model <name>', 'vitb32 on a software adapter, vitl14 on a GPU').choices(
    SYNTHETIC_MODELS,
  );

  add('all', 'ceilings, kernels, a block, an image, a training step', true)
    .addOption(precision)
    .addOption(model);
  add('ceiling', 'multiply-add rate, copy rate, dispatch cost, compile time');
  add('kernels', 'kernels on the shapes of real models')
    .option('--op <name>', 'one op, gemm for instance')
    .option('--case <substring>', 'cases with this in their name')
    .addOption(variants)
    .addOption(check);
  add('block', 'one ViT-L/14 block of 290 tokens').addOption(precision);
  add('image', 'one image through tower and heads, from nothing to the first result and on')
    .addOption(precision)
    .addOption(model)
    .option('--image-size <px>', 'side of the image (240)', positiveInteger)
    .option('--batch <n>', 'images at once (1)', positiveInteger);
  add('train', 'one training step: forward, backward, optimiser')
    .addOption(precision)
    .addOption(model)
    .option('--image-size <px>', 'side of the images (240)', positiveInteger)
    .option('--batch <n>', 'images a step (1)', positiveInteger);
  add('folder', 'an evaluation over many image files: what each stage is busy with')
    .addOption(precision)
    .addOption(model)
    .option('--image-size <px>', 'side that the model runs at (240)', positiveInteger)
    .option('--batch <n>', 'images a run (1)', positiveInteger)
    .option('--images <n>', 'phantoms to draw (200)', positiveInteger)
    .option('--data <dataset>', 'a labelled data set instead of phantoms');
  program.parse([...args], { from: 'user' });
  return parsed!;
}
