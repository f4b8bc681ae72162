import { basename, join } from 'node:path';
import { Argument, type Command, InvalidArgumentError, Option } from 'commander';
import { knownDataset, knownDatasets } from '../../data/known-datasets';
import { datasetFolders } from '../../data/node/datasets';
import { type GridIdentity, gridCells } from '../../evaluation/grid';
import type { Protocol } from '../../evaluation/record';
import {
  type CellOutcome,
  compare,
  csvTable,
  jsonTable,
  latexTables,
  markdownTables,
} from '../../evaluation/tables';
import { writeFileAtomic } from '../../io/node/write-file';
import { weightsIdentity } from '../../model/identity';
import { OptionError } from '../../runtime/errors';
import { DEFAULTS } from '../../training/options';
import { openGridFolder } from '../grid-folder';
import { type GridFlags, gridMethod, gridMethods } from '../grid-methods';
import { runGrid } from '../grid-run';
import { notNegative, positiveInteger, wholeNumber } from '../options';
import { openSession, type Session } from '../session';
import { commandLine } from '../shell';
import { sidecarImageSize } from '../sidecar';
import { addHyperparameters, requireWeights } from '../training-flags';

/** Those of the paper's tables. */
const TABLE_METHODS = ['winclip', 'april-gan', 'mvfa', 'mla-lp'];

interface ReproduceFlags extends GridFlags {
  data: string;
  out: string;
  methods: string[];
  shots: number[];
  datasets?: string[];
  seeds: number[];
  json?: boolean;
}

export function registerReproduce(program: Command): void {
  const command = program
    .command('reproduce')
    .description(
      "train and evaluate everything behind one of the paper's tables, and set the results beside the published ones",
    )
    .addArgument(new Argument('<table>', "the paper's Table 2 or Table 1").choices(['few-shot', 'zero-shot']))
    .requiredOption('--data <root>', 'folder that holds Brain_AD, Liver_AD, Retina_RESC_AD and so on')
    .option('--weights <file>', 'CLIP weights: a file, a folder, a known name, or synthetic:<model>')
    .option(
      '--out <dir>',
      'folder for results and tables; the same command with the same folder goes on where it stopped',
      'mla-lp-reproduce',
    )
    .option('--methods <names>', `any of ${Object.keys(gridMethods).join(', ')}`, list, TABLE_METHODS)
    .option(
      '--shots <k,...>',
      'of the few-shot table',
      (text) => list(text).map(positiveInteger),
      [2, 4, 8, 16],
    )
    .option('--datasets <names>', "to test on (default: the paper's six)", list)
    .option('--seeds <n,...>', 'of shots, initial values and order', (text) => list(text).map(wholeNumber), [
      DEFAULTS.seed,
    ])
    .addOption(
      new Option(
        '--select <which>',
        'last: the model after its last epoch; best-on-test: the epoch that does best on the test images, as the authors do',
      )
        .choices(['last', 'best-on-test'])
        .default('last'),
    )
    .option('--resamples <n>', 'bootstrap resamples of the intervals (0: none)', wholeNumber, 1000)
    .option('--pictures <n>', 'images shown in each report at most', wholeNumber, 50)
    .option('--keep-going', 'leave out images that cannot be read instead of giving a cell up');
  addHyperparameters(command)
    .option('--json', 'the tables as one JSON object on standard output')
    .option('--save-every <seconds>', 'longest time without a saved state of a training', notNegative, 60)
    .option('--quiet', 'no progress')
    .action(reproduce);
}

async function reproduce(protocol: Protocol, flags: ReproduceFlags): Promise<void> {
  const { data, out } = flags;
  const weights = requireWeights(flags.weights);
  for (const method of flags.methods) gridMethod(method);
  const cells = gridCells({ ...flags, protocol, datasets: await datasetNames(flags) });
  const imageSize = flags.imageSize ?? (await sidecarImageSize(weights)) ?? DEFAULTS.imageSize;
  await openGridFolder(out, identityOf({ ...flags, imageSize }, weights));

  let opened: Session | undefined;
  const session = async (): Promise<Session> => {
    if (!opened) {
      opened = await openSession({ ...flags, weights, quiet: flags.quiet === true });
      const identity = await weightsIdentity(opened.clip.source);
      await openGridFolder(join(out, protocol), { weights: identity.slice(0, 16) });
    }
    return opened;
  };
  const about = { protocol, settings: identityOf({ ...flags, imageSize }, weights), command: commandLine() };
  try {
    const outcomes = await runGrid({
      cells,
      root: data,
      out,
      flags: { ...flags, imageSize },
      session,
      onOutcome: (soFar) => writeTables(join(out, protocol), soFar, about),
    });
    const grid = compare(outcomes);
    process.stdout.write(flags.json ? jsonTable(grid, about) : markdownTables(grid));
    if (outcomes.some((outcome) => 'state' in outcome && outcome.state === 'failed')) process.exitCode = 1;
  } finally {
    await opened?.close();
  }
}

/** All four forms; they are whole at any time. @param path without ending. */
async function writeTables(
  path: string,
  outcomes: readonly CellOutcome[],
  about: Readonly<Record<string, unknown>>,
): Promise<void> {
  const grid = compare(outcomes);
  const forms = {
    md: markdownTables(grid),
    csv: csvTable(grid),
    json: jsonTable(grid, about),
    tex: latexTables(grid),
  };
  for (const [ending, text] of Object.entries(forms))
    await writeFileAtomic(`${path}.${ending}`, [new TextEncoder().encode(text)]);
}

/** As the tables have them; others as their folders are called. @throws OptionError for one that is nowhere. */
async function datasetNames({ data, datasets }: ReproduceFlags): Promise<string[]> {
  if (!datasets) return knownDatasets.map(({ name }) => name);
  const there = (await datasetFolders(data)).map((folder) => folder.replace(/_AD$/i, ''));
  return datasets.map((given) => {
    const plain = given.replace(/_AD$/i, '').toLowerCase();
    const name = knownDataset(given)?.name ?? there.find((folder) => folder.toLowerCase() === plain);
    if (name !== undefined) return name;
    throw new OptionError(
      `There is no data set ${given}.`,
      `There are: ${[...new Set([...knownDatasets.map((known) => known.name), ...there])].join(', ')}.`,
    );
  });
}

/** What results depend on and no cell says of itself. */
function identityOf(flags: ReproduceFlags, weights: string): GridIdentity {
  const { preset, imageSize, precision, epochs, steps, batch, stages, contextVectors, select, resamples } =
    flags;
  return {
    weights: basename(weights),
    preset: preset ?? 'authors',
    imageSize: imageSize!,
    precision,
    ...(steps === undefined ? { epochs } : { steps }),
    batch,
    adapterRate: flags.lrAdapters ?? "the method's own",
    promptRate: flags.lrPrompts,
    optimiser: flags.optimiser,
    betas: flags.betas.join(','),
    momentum: flags.momentum,
    weightDecay: flags.weightDecay,
    schedule: flags.schedule,
    warmup: flags.warmup,
    clip: flags.clip,
    contextVectors,
    stages,
    shuffle: flags.shuffle,
    select,
    resamples,
  };
}

function list(text: string): string[] {
  const values = text.split(',').map((value) => value.trim());
  if (values.some((value) => value === ''))
    throw new InvalidArgumentError('It must be a list with commas, as in a,b.');
  return values;
}
