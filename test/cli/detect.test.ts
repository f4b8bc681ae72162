/** `mla-lp detect` as a user runs it: JSON, maps, heatmaps, report, exit codes, clear errors. */
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
import { afterAll, expect, test } from 'vitest';
import { decodeImage } from '../../src/platform/node/decode-image';
import { runCli } from '../helpers/cli';
import { fixture, openGolden, openWhole, relativeError } from '../helpers/goldens';

const folder = mkdtempSync(join(tmpdir(), 'mla-lp-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const tiny = [
  '--weights',
  fixture('tiny/clip.safetensors'),
  '--checkpoint',
  fixture('tiny/init.safetensors'),
];
const model = [...tiny, '--image-size', '100'];
const images = [0, 1, 2, 3].map((i) => fixture(`tiny/image${i}.png`));
const golden = await openGolden('tiny/golden.safetensors');

test('a folder with a broken file: JSON, maps, heatmaps, report, exit code 1', {
  timeout: 180_000,
}, async () => {
  const input = join(folder, 'in');
  mkdirSync(join(input, 'sub'), { recursive: true });
  images.forEach((image, i) => {
    cpSync(image, join(input, i === 3 ? 'sub/image0.png' : `image${i}.png`));
  });
  writeFileSync(join(input, 'broken.png'), 'this is no image');
  const out = join(folder, 'out');
  const maps = join(folder, 'maps.safetensors');
  const run = await runCli([
    'detect',
    input,
    ...model,
    '--json',
    '--out',
    out,
    '--maps',
    maps,
    '--batch',
    '2',
  ]);

  expect(run.code).toBe(1);
  expect(run.stderr).toContain('broken.png');
  expect(run.stderr).toMatch(/^Adapter: /m);
  const lines = run.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const order = [0, 1, 2, 3];
  expect(lines.map((line) => line.file)).toEqual(
    ['image0.png', 'image1.png', 'image2.png', 'sub/image0.png'].map((name) => join(input, name)),
  );
  const scores = await golden.read('authors.scores');
  for (const i of order) {
    const levels = order.map((stage) => scores[stage * 4 + i]!);
    expect(Object.keys(lines[i])).toEqual(['file', 'score', 'levels']);
    expect(relativeError(lines[i].levels, levels)).toBeLessThan(1e-4);
    expect(lines[i].score).toBeCloseTo(
      levels.reduce((a, b) => a + b),
      4,
    );
  }
  const written = await openWhole(maps);
  const stages = await golden.read('authors.maps');
  for (const i of order) {
    expect(written.tensors.get(lines[i].file)?.shape).toEqual([100, 100]);
    const want = Float32Array.from({ length: 10_000 }, (_, p) =>
      order.reduce((sum, stage) => sum + stages[(stage * 4 + i) * 10_000 + p]!, 0),
    );
    expect(relativeError(await written.read(lines[i].file), want)).toBeLessThan(1e-4);
  }
  await written.close();
  // Nothing collides, nothing temporary stays.
  expect(readdirSync(out).sort()).toEqual([
    'image0.heatmap.png',
    'image1.heatmap.png',
    'image2.heatmap.png',
    'report.html',
    'sub',
  ]);
  expect(existsSync(join(out, 'sub/image0.heatmap.png'))).toBe(true);
  expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  const heatmap = await decodeImage(readFileSync(join(out, 'image1.heatmap.png')), 'heatmap');
  expect([heatmap.width, heatmap.height]).toEqual([100, 100]);
  const original = await decodeImage(readFileSync(images[1]!), 'original');
  expect(heatmap.data).not.toEqual(original.data);
  const page = readFileSync(join(out, 'report.html'), 'utf8');
  expect(page).toContain('broken.png');
  expect(page.match(/<article/g)).toHaveLength(4);
});

test('method clip needs no checkpoint and writes to the default folder', { timeout: 180_000 }, async () => {
  const prompts = join(folder, 'prompts.json');
  writeFileSync(prompts, JSON.stringify({ normal: ['a healthy brain'], abnormal: ['a tumour', 'a lesion'] }));
  const args = [
    'detect',
    images[1]!,
    '--weights',
    'synthetic:tiny',
    '--image-size',
    '90',
    '--prompts',
    prompts,
  ];
  const run = await runCli(args, folder);
  expect(run.stderr).toContain('training-free baseline');
  expect(run.code).toBe(0);
  expect(readdirSync(join(folder, 'mla-lp-results')).sort()).toEqual(['image1.heatmap.png', 'report.html']);
});

test.each([
  ['no such image', ['nothing-here.png', ...model], 'nothing-here.png', 2],
  ['image size below a patch', [images[0]!, ...tiny, '--image-size', '13'], '--image-size 14', 2],
  [
    'method mla-lp without checkpoint',
    [images[0]!, '--weights', 'synthetic:tiny', '--method', 'mla-lp'],
    '--checkpoint',
    2,
  ],
  ['unknown weights', [images[0]!, '--weights', 'synthetic:none'], 'vitl14', 2],
  ['weights that are no weights', [images[0]!, '--weights', images[0]!], 'image0.png', 1],
  [
    'a checkpoint of another model',
    [images[0]!, '--weights', 'synthetic:hidden', '--checkpoint', tiny[3]!],
    'init.safetensors',
    1,
  ],
  ['an unknown option', [images[0]!, ...model, '--nonsense'], '--nonsense', 2],
])('%s: exit code, the fact and the remedy', { timeout: 60_000 }, async (_name, args, told, code) => {
  const run = await runCli(['detect', ...args, '--quiet'], folder);
  expect(run.stderr).toContain(told);
  expect(run.stderr).not.toMatch(/^\s+at /m);
  expect(run.code).toBe(code);
  expect(run.stdout).toBe('');
});
