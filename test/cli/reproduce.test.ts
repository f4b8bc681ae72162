/** `mla-lp reproduce` as a user runs it, on phantoms in the layouts of the paper's data sets. */
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseCsv } from '../../src/data/csv';
import { knownDatasets } from '../../src/data/known-datasets';
import { makePhantom, modalities } from '../../src/data/phantoms';
import { encodePng } from '../../src/platform/node/encode-png';
import { CLI_ENTRY, runCli } from '../helpers/cli';
import { fixture } from '../helpers/goldens';

const work = mkdtempSync(join(tmpdir(), 'mla-lp-reproduce-'));
const data = join(work, 'data');
// With two sentences of its own: the ensemble's 420 take long on a software adapter.
const weights = join(work, 'clip.safetensors');
const damaged = join(work, 'damaged');
const SIZE = 32;

/** All six but Liver. A second folder has two of them, one with damaged test images. */
beforeAll(async () => {
  cpSync(fixture('tiny/clip.safetensors'), weights);
  writeFileSync(join(work, 'clip.prompts.json'), '{"normal": ["a good scan"], "abnormal": ["a bad scan"]}');
  let seed = 1;
  for (const [d, { name, folder, hasMasks }] of knownDatasets.entries()) {
    if (name === 'Liver') continue;
    for (const [split, count] of [
      ['valid', 1],
      ['test', 2],
    ] as const) {
      for (const kind of ['good', 'Ungood']) {
        for (let i = 0; i < count; i++) {
          const abnormal = kind === 'Ungood';
          const { image, mask } = makePhantom(seed++, { size: SIZE, modality: modalities[d]!, abnormal });
          const put = async (part: string, picture: typeof image) => {
            const to = join(data, folder, split, part);
            mkdirSync(to, { recursive: true });
            const bytes = await encodePng(picture);
            writeFileSync(join(to, `${i}.png`), bytes);
          };
          await put(`${kind}/img`, image);
          const white = Uint8Array.from(
            { length: 3 * SIZE * SIZE },
            (_, p) => 255 * mask[Math.floor(p / 3)]!,
          );
          if (abnormal && hasMasks)
            await put('Ungood/anomaly_mask', { width: SIZE, height: SIZE, data: white });
        }
      }
    }
  }
});

beforeAll(() => {
  for (const name of ['Histopathology', 'Chest']) {
    const folder = join(damaged, `${name}_AD`);
    cpSync(join(data, `${name}_AD`), folder, { recursive: true });
    if (name === 'Chest') continue;
    const file = join(folder, 'test/good/img/0.png');
    writeFileSync(file, readFileSync(file).subarray(0, 60));
  }
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

const STEPS = 3;
const TINY = [
  ...['--data', data, '--weights', weights, '--image-size', '56'],
  ...['--steps', String(STEPS), '--batch', '2', '--resamples', '20', '--save-every', '0'],
];

interface Table {
  readonly comparisons: readonly {
    readonly method: string;
    readonly dataset: string;
    readonly metric: string;
    readonly ours?: { readonly value: number; readonly seeds: number };
    readonly published?: number;
    readonly difference?: number;
  }[];
  readonly cells: readonly {
    readonly dataset: string;
    readonly method: string;
    readonly state: string;
    readonly reason?: string;
  }[];
}

function killWhenThere(args: readonly string[], folder: string, file: string): Promise<void> {
  return new Promise((done, fail) => {
    mkdirSync(folder, { recursive: true });
    const child = spawn(process.execPath, [CLI_ENTRY, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    const watcher = watch(folder, () => {
      if (existsSync(join(folder, file))) child.kill('SIGKILL');
    });
    child.once('close', (code) => {
      watcher.close();
      if (code === null) done();
      else fail(new Error(`It ended by itself: ${stderr}`));
    });
  });
}

test('a killed grid goes on where it stopped, in the middle of a training', async () => {
  const out = join(work, 'zero');
  const options = [...TINY, '--methods', 'mla-lp', '--datasets', 'Liver,brain', '--out', out];
  const grid = ['reproduce', 'zero-shot', ...options];
  const cell = join(out, 'zero-shot/mla-lp/Brain/seed-111');
  await killWhenThere(grid, cell, 'model.training.safetensors');
  // Liver was looked at, Brain is under way; the table says so.
  expect(existsSync(join(cell, 'cell.json'))).toBe(false);
  const early = readFileSync(join(out, 'zero-shot.md'), 'utf8');
  expect(early).toContain('zero-shot/mla-lp/Liver/seed-111: cannot be run');
  expect(early).toContain('zero-shot/mla-lp/Brain/seed-111: not done yet');

  const resumed = await runCli([...grid, '--json']);
  expect(resumed.code, resumed.stderr).toBe(0);
  expect(resumed.stderr).toMatch(/Resuming after step [123]\./);
  // The saved state is gone, the model stays.
  expect(existsSync(join(cell, 'model.training.safetensors'))).toBe(false);
  expect(existsSync(join(cell, 'model.safetensors'))).toBe(true);

  const table = JSON.parse(resumed.stdout) as Table;
  expect(table.cells.map(({ dataset, method, state }) => `${method} ${dataset} ${state}`)).toEqual([
    'mla-lp Liver cannot',
    'mla-lp Brain done',
  ]);
  expect(table.cells[0]!.reason).toBe('there is no folder Liver_AD.');
  const pixels = table.comparisons.find(
    (c) => c.method === 'mla-lp' && c.dataset === 'Brain' && c.metric === 'pixel',
  )!;
  const { pixel } = JSON.parse(readFileSync(join(cell, 'results.json'), 'utf8'));
  expect(pixels.ours!.value).toBeCloseTo(100 * pixel.auroc.value, 9);
  expect(pixels.published).toBe(89.79);
  expect(pixels.difference).toBeCloseTo(100 * pixel.auroc.value - 89.79, 9);
  // Liver is missing from the training as well.
  expect(readFileSync(join(out, 'zero-shot.md'), 'utf8')).toContain(
    'and not on the paper’s other 5 data sets',
  );

  // All forms hold the same, and a finished grid needs no device.
  const again = await runCli(grid);
  expect(again.stderr).not.toContain('Adapter');
  expect(again.stdout).toBe(readFileSync(join(out, 'zero-shot.md'), 'utf8'));
  const rows = parseCsv(readFileSync(join(out, 'zero-shot.csv'), 'utf8'), 'zero-shot.csv');
  expect(rows).toHaveLength(1 + table.comparisons.length);
  expect(readFileSync(join(out, 'zero-shot.tex'), 'utf8')).toContain('MLA-LP & ours');

  const other = await runCli([...grid, '--steps', '4']);
  expect(other.code).toBe(2);
  expect(other.stderr).toContain(`steps was ${STEPS} and is 4`);
});

test('a cell that fails is listed, the others are run', async () => {
  const out = join(work, 'broken');
  const { code, stderr, stdout } = await runCli([
    ...['reproduce', 'zero-shot', ...TINY, '--methods', 'mla-lp,clip'],
    ...['--data', damaged, '--datasets', 'Chest', '--out', out, '--json', '--quiet'],
  ]);
  expect(code, stderr).toBe(1);
  const { cells } = JSON.parse(stdout) as Table;
  // Trained on Histopathology, of which an image is damaged.
  expect(cells.map(({ method, state }) => `${method} ${state}`)).toEqual(['mla-lp failed', 'clip done']);
  expect(cells[0]!.reason).toContain('nothing was trained');
});

test('few-shot: the published list chooses the shots; more than there are cannot be had', async () => {
  const out = join(work, 'few');
  mkdirSync(join(data, 'fewshot_seed/Chest'), { recursive: true });
  writeFileSync(join(data, 'fewshot_seed/Chest/1-shot.txt'), 'n-0: 0.png\na-0: 0.png\n');
  const { code, stderr, stdout } = await runCli([
    ...['reproduce', 'few-shot', ...TINY, '--steps', '1', '--methods', 'mla-lp,april-gan'],
    ...['--datasets', 'Chest', '--shots', '1,2', '--out', out, '--json'],
  ]);
  expect(code, stderr).toBe(0);
  const { cells } = JSON.parse(stdout) as Table;
  expect(cells.map(({ method, state }) => `${method} ${state}`)).toEqual([
    'mla-lp done',
    'april-gan cannot',
    'mla-lp cannot',
    'april-gan cannot',
  ]);
  expect(cells[1]!.reason).toBe('it learns from masks alone, and Chest has none.');
  expect(cells[2]!.reason).toBe('there is only 1 image of a class to train on.');
  const text = readFileSync(join(out, 'few-shot.md'), 'utf8');
  expect(text).not.toContain('no published shot list');
  const record = JSON.parse(
    readFileSync(join(out, 'few-shot/mla-lp/Chest/1-shot/seed-111/results.json'), 'utf8'),
  );
  expect(record).toMatchObject({ protocol: 'few-shot', method: 'mla-lp', n: 4, selection: 'last-epoch' });
  // No published number of one shot: nothing to differ from.
  expect(text).toMatch(/\| MLA-LP \| ours \| [\d.]+ /);
  expect(text.split('## Few-shot, 2 shots')[0]).not.toContain('difference |');
});

test('wrong names are refused before anything begins', async () => {
  const refuse = async (...args: string[]) => {
    const { code, stderr } = await runCli([
      'reproduce',
      'few-shot',
      ...TINY,
      '--out',
      join(work, 'no'),
      ...args,
    ]);
    expect(code).toBe(2);
    return stderr;
  };
  expect(await refuse('--methods', 'mla-lp,magic')).toContain('There is no method magic');
  expect(await refuse('--datasets', 'Brain,Knee')).toContain('There is no data set Knee');
  expect(await refuse('--data', join(work, 'nowhere'))).toContain('nowhere');
  expect(existsSync(join(work, 'no', 'few-shot'))).toBe(false);
});
