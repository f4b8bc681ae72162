/** `mla-lp eval` and `merge` as a user runs them, against numbers of the float64 reference. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auroc } from '../../src/metrics';
import { runCli } from '../helpers/cli';
import { fixture, openGolden } from '../helpers/goldens';

const root = mkdtempSync(join(tmpdir(), 'mla-lp-eval-'));
const SIZE = 100;

/** The tiny golden images; the reference's bank holds images 0 and 1, and is asked about images 2 and 3. */
function put(folder: string, name: string, from: string): void {
  mkdirSync(join(root, folder), { recursive: true });
  cpSync(fixture(`tiny/${from}.png`), join(root, folder, `${name}.png`));
}

beforeAll(() => {
  put('Tiny_AD/valid/good/img', 'a', 'image0');
  put('Tiny_AD/valid/good/img', 'b', 'image1');
  put('Tiny_AD/valid/Ungood/img', 'c', 'image3');
  put('Tiny_AD/valid/Ungood/anomaly_mask', 'c', 'mask3');
  put('Tiny_AD/test/good/img', 'image2', 'image2');
  put('Tiny_AD/test/Ungood/img', 'image3', 'image3');
  put('Tiny_AD/test/Ungood/anomaly_mask', 'image3', 'mask3');
  for (const i of [0, 2]) put('plain/normal', `image${i}`, `image${i}`);
  for (const i of [1, 3]) {
    put('plain/abnormal', `image${i}`, `image${i}`);
    put('plain/masks', `image${i}`, `mask${i}`);
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const MODEL = ['--weights', fixture('tiny/clip.safetensors'), '--model', fixture('tiny/init.safetensors')];
const TINY = [...MODEL, '--image-size', String(SIZE), '--resamples', '50', '--quiet'];

interface Summary {
  dataset: string;
  n: number;
  protocol: string;
  image: Record<'auroc' | 'ap' | 'f1max', number>;
  pixel?: Record<'auroc' | 'ap' | 'f1max' | 'aupro', number>;
}

const golden = await openGolden('tiny/golden.safetensors');
const pixels = SIZE * SIZE;
const masks = await golden.read('masks');
const labelsOf = (i: number) => [...masks.subarray(i * pixels, (i + 1) * pixels)].map((v) => v > 0.5);

/** The reference's map of an image, summed over stages [4, B, S, S]. */
async function goldenMap(preset: string, image: number): Promise<number[]> {
  const maps = await golden.read(`${preset}.maps`);
  return Array.from({ length: pixels }, (_, p) =>
    [0, 1, 2, 3].reduce((sum, stage) => sum + maps[(stage * 4 + image) * pixels + p]!, 0),
  );
}

async function evaluate(folder: string, ...flags: string[]): Promise<Summary> {
  const { stdout, stderr, code } = await runCli(['eval', join(root, folder), ...TINY, '--json', ...flags]);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Summary;
}

function minMax(values: readonly number[]): number[] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return values.map((v) => (v - low) / (high - low));
}

test.each(['authors', 'paper'])('zero-shot, preset %s: the reference', async (preset) => {
  const out = join(root, `zero-${preset}`);
  const found = await evaluate('plain', '--preset', preset, '--out', out);
  const scores = await golden.read(`${preset}.scores`); // [stages, B] or [B, stages]: summed over stages below
  const order = [0, 2, 1, 3];
  const wanted = order.map((i) => [0, 1, 2, 3].reduce((sum, s) => sum + scores[s * 4 + i]!, 0));
  expect(found).toMatchObject({ dataset: 'plain', n: 4, protocol: 'zero-shot' });
  expect(found.image.auroc).toBe(auroc([0, 0, 1, 1], wanted));
  const maps = (await Promise.all(order.map((i) => goldenMap(preset, i)))).flat();
  expect(found.pixel!.auroc).toBeCloseTo(auroc(order.flatMap(labelsOf), maps), 5);
  const record = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
  record.images.forEach(({ score }: { score: number }, i: number) => {
    expect(score).toBeCloseTo(wanted[i]!, 3);
  });
  // Nothing but results stays.
  expect(readdirSync(out).sort()).toEqual(['images.csv', 'images.jsonl', 'report.html', 'results.json']);
});

test('few-shot: the bank of the valid split, scaled and mixed as the protocol says', async () => {
  const out = join(root, 'few');
  const found = await evaluate('Tiny_AD', '--bank', 'on', '--no-augment', '--out', out);
  expect(found).toMatchObject({ dataset: 'Tiny', n: 2, protocol: 'few-shot' });
  const memory = await golden.read('authors.memory_map');
  const zero = minMax([...(await goldenMap('authors', 2)), ...(await goldenMap('authors', 3))]);
  const few = minMax([...memory]);
  const fused = zero.map((v, i) => 0.5 * v + 0.5 * few[i]!);
  expect(found.pixel!.auroc).toBeCloseTo(auroc([...labelsOf(2), ...labelsOf(3)], fused), 4);
  const record = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
  const wanted = [fused.slice(0, pixels), fused.slice(pixels)].map((map) => Math.max(...map));
  record.images.forEach(({ score }: { score: number }, i: number) => {
    expect(score).toBeCloseTo(wanted[i]!, 3);
  });
});

test('two shards, merged, are one run', async () => {
  const [whole, parts, merged] = ['whole', 'parts', 'merged'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ];
  const one = await evaluate('plain', '--out', whole);
  for (const shard of ['1/2', '2/2']) {
    const { code, stderr } = await runCli([
      'eval',
      join(root, 'plain'),
      ...TINY,
      '--shard',
      shard,
      '--out',
      parts,
    ]);
    expect(code, stderr).toBe(0);
  }
  const merge = () => runCli(['merge', parts, '--out', merged, '--resamples', '50', '--json', '--quiet']);
  const { stdout, code, stderr } = await merge();
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toEqual(one);
  const record = (folder: string) => {
    const {
      created: _created,
      commands,
      ...rest
    } = JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8'));
    return { rest, commands: commands as string[] };
  };
  expect(record(merged).rest).toEqual(record(whole).rest);
  expect(record(merged).commands).toHaveLength(3);

  // Results never stand beside tables of another evaluation: here the second one stops between its tables.
  const results = join(merged, 'results.json');
  const earlier = readFileSync(results, 'utf8');
  rmSync(join(merged, 'images.csv'));
  mkdirSync(join(merged, 'images.csv'));
  expect((await merge()).code).not.toBe(0);
  expect(existsSync(results)).toBe(false);
  expect(readFileSync(`${results}.previous`, 'utf8')).toBe(earlier);
  rmSync(join(merged, 'images.csv'), { recursive: true });
  expect((await merge()).code).toBe(0);
  expect(readdirSync(merged)).not.toContain('results.json.previous');
  expect(record(merged).rest).toEqual(record(whole).rest);
});

describe('what cannot be', () => {
  const cases: [string, string[], string][] = [
    ['a bank of the tested images', ['plain', '--bank', 'on'], 'would be in the memory bank and be tested'],
    [
      'a shard that chooses an epoch',
      ['plain', '--shard', '1/2', '--select', 'best-on-test'],
      'A shard alone',
    ],
    ['epochs that are not there', ['plain', '--select', 'best-on-test'], 'Train with --keep-epochs'],
    ['a bank file and no bank', ['plain', '--bank-file', 'x'], 'Give --bank on too'],
    [
      'shots and a bank file',
      ['plain', '--bank', 'on', '--bank-file', 'x', '--shots', '2'],
      'exclude each other',
    ],
    ['a method that takes no model', ['plain', '--method', 'clip'], 'Method clip takes no --model'],
    ['no data set', ['missing'], 'there is no such file or folder'],
  ];
  test.each(cases)('%s', async (_what, [folder, ...flags], message) => {
    const out = join(root, 'refused');
    const { code, stderr } = await runCli(['eval', join(root, folder!), ...TINY, '--out', out, ...flags]);
    expect(code).not.toBe(0);
    expect(stderr).toContain(message);
    expect(existsSync(join(out, 'results.json'))).toBe(false);
  });

  test('a broken image stops the run, or is listed with --keep-going', async () => {
    const folder = join(root, 'broken');
    cpSync(join(root, 'plain'), folder, { recursive: true });
    writeFileSync(join(folder, 'normal/torn.png'), readFileSync(fixture('tiny/image0.png')).subarray(0, 900));
    const out = join(root, 'broken-out');
    const args = ['eval', folder, ...TINY, '--out', out];
    const stopped = await runCli(args);
    expect(stopped.code).toBe(1);
    expect(stopped.stderr).toContain('torn.png');
    const { code, stderr } = await runCli([...args, '--keep-going']);
    expect(code, stderr).toBe(0);
    const record = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
    expect(record.n).toBe(4);
    expect(record.failures).toEqual([
      { name: 'normal/torn.png', message: expect.stringContaining('torn.png') },
    ]);
  });
});

describe('a threshold saved with the model', () => {
  const model = join(root, 'model.safetensors');
  const weights = ['--weights', fixture('tiny/clip.safetensors')];
  const tested = join(root, 'Tiny_AD/test');

  test('is chosen by eval, kept in the file, and used by detect', async () => {
    const options = ['--steps', '1', '--batch', '3', '--no-augment', '--quiet', '--image-size', String(SIZE)];
    const init = ['--init', fixture('tiny/init.safetensors'), '--out', model];
    const trained = await runCli(['train', join(root, 'Tiny_AD'), ...weights, ...init, ...options]);
    expect(trained.code, trained.stderr).toBe(0);
    const out = join(root, 'calibrated');
    // No --image-size and no --no-augment: the model knows.
    const flags = ['--bank', 'on', '--calibrate', 'youden', '--resamples', '0', '--out', out];
    const evaluated = await runCli(['eval', join(root, 'Tiny_AD'), ...weights, '--model', model, ...flags]);
    expect(evaluated.code, evaluated.stderr).toBe(0);
    expect(evaluated.stderr).toContain('2 normal images that the model was trained on.');
    expect(evaluated.stderr).toContain('It was chosen on test images');
    const other = ['--calibrate', '--image-size', '84', '--out', join(root, 'other-size')];
    const refused = await runCli(['eval', join(root, 'Tiny_AD'), ...weights, '--model', model, ...other]);
    expect(refused.stderr).toContain('was trained with another --image-size');
    const record = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
    const threshold = Number(/Threshold (\S+)/.exec(evaluated.stderr)![1]);

    const bank = ['--bank-images', join(root, 'Tiny_AD/valid/good/img'), '--bank-versions', 'one'];
    const detect = ['detect', tested, ...weights, '--checkpoint', model, '--json'];
    const found = await runCli([...detect, ...bank, '--out', join(out, 'detect')]);
    expect(found.code, found.stderr).toBe(0);
    const lines = found.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { file: string; label: string });
    expect(lines).toHaveLength(2);
    for (const { file, label } of lines) {
      const { score } = record.images.find(({ name }: { name: string }) => file.endsWith(name));
      expect(label).toBe(score >= threshold * (1 - 1e-5) ? 'abnormal' : 'normal');
    }
    expect(new Set(lines.map(({ label }) => label)).has('abnormal')).toBe(true);
    const page = readFileSync(join(out, 'detect/report.html'), 'utf8');
    expect(page).toContain('class="label-abnormal"');
    expect(page).toContain('class="outline"');

    const withoutBank = await runCli(detect);
    expect(withoutBank.stderr).toContain('threshold is for scores with a memory bank');
    expect(withoutBank.stdout).not.toContain('label');
  });

  test('other files are not touched', async () => {
    const foreign = join(root, 'foreign.safetensors');
    cpSync(fixture('tiny/init.safetensors'), foreign);
    const before = readFileSync(foreign);
    const { code, stderr } = await runCli([
      'eval',
      join(root, 'Tiny_AD'),
      '--weights',
      fixture('tiny/clip.safetensors'),
      '--model',
      foreign,
      '--image-size',
      String(SIZE),
      '--calibrate',
      '--resamples',
      '0',
      '--out',
      join(root, 'foreign'),
      '--quiet',
    ]);
    expect(code).not.toBe(0);
    expect(stderr).toContain('mla-lp convert');
    expect(readFileSync(foreign)).toEqual(before);
  });
});
