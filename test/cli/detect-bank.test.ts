/** `mla-lp detect` with a memory bank: raw parts, fused scores, maps, report, clear errors. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runCli } from '../helpers/cli';
import { fixture, openGolden, openWhole, relativeError } from '../helpers/goldens';

const folder = mkdtempSync(join(tmpdir(), 'mla-lp-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const weights = ['--weights', fixture('tiny/clip.safetensors')];
const model = [...weights, '--checkpoint', fixture('tiny/init.safetensors'), '--image-size', '100'];
const images = [0, 1, 2, 3].map((i) => fixture(`tiny/image${i}.png`));
const normals = join(folder, 'normals');
mkdirSync(normals);
for (const i of [0, 1]) cpSync(images[i]!, join(normals, `image${i}.png`));
const few = ['--bank-images', normals, '--bank-versions', 'one'];

const extremes = (values: ArrayLike<number>): [number, number] =>
  Array.from(values).reduce<[number, number]>(
    ([a, b], v) => [Math.min(a, v), Math.max(b, v)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  );

test('two images: parts, and what they are together', { timeout: 120_000 }, async () => {
  const [out, maps] = [join(folder, 'out'), join(folder, 'maps.safetensors')];
  const files = images.slice(2);
  const run = await runCli(['detect', ...files, ...model, ...few, '--json', '--out', out, '--maps', maps]);
  expect(run.code, run.stderr).toBe(0);
  expect(run.stderr).toMatch(/^Memory bank: 100 rows in 1 tile a stage and head, .* on the device\.$/m);
  const lines = run.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.map((line) => line.file)).toEqual(files);
  const written = await openWhole(maps);
  const zeroShot = await Promise.all(files.map((file) => written.read(file)));
  const fewShot = await Promise.all(files.map((file) => written.read(`${file}#memory`)));
  await written.close();
  const golden = await openGolden('tiny/golden.safetensors');
  const want = await golden.read('authors.memory_map');
  expect(relativeError(Float32Array.from(fewShot.flatMap((m) => Array.from(m))), want)).toBeLessThan(1e-4);

  const scaled = (value: number, [low, high]: [number, number]) => (value - low) / (high - low);
  const ranges = [zeroShot, fewShot].map((all) => extremes(all.flatMap((m) => Array.from(m))));
  const scores = [extremes(lines.map((l) => l.score)), extremes(lines.map((l) => l.memory.mean))] as const;
  for (const [i, line] of lines.entries()) {
    expect(line.memory.max).toBeCloseTo(extremes(fewShot[i]!)[1], 6);
    const both = scaled(line.score, scores[0]) / 2 + scaled(line.memory.mean, scores[1]) / 2;
    expect(line.fused.score).toBeCloseTo(both, 6);
    const map = Array.from(zeroShot[i]!, (v, p) => {
      return scaled(v, ranges[0]!) / 2 + scaled(fewShot[i]![p]!, ranges[1]!) / 2;
    });
    expect(line.fused.mapMax).toBeCloseTo(extremes(map)[1], 5);
    expect(existsSync(join(out, `image${2 + i}.heatmap.png`))).toBe(true);
  }
  const page = readFileSync(join(out, 'report.html'), 'utf8');
  expect(page).toContain('half zero-shot, half few-shot');
});

test('one image has nothing to be scaled by', { timeout: 120_000 }, async () => {
  const run = await runCli(['detect', images[2]!, ...model, ...few, '--json', '--quiet']);
  expect(run.code, run.stderr).toBe(0);
  const line = JSON.parse(run.stdout);
  expect(Object.keys(line)).toEqual(['file', 'score', 'levels', 'memory']);
  expect(line.memory.mean).toBeGreaterThan(0);
});

test.each([
  ['a bank twice', [...model, ...few, '--bank', images[0]!], /both given/, 2],
  ['a method without one', [...weights, ...few, '--method', 'clip'], /clip takes no --bank-images/, 2],
  ['no adapters', [...weights, ...few], /Method clip has no memory bank/, 2],
  ['a bank that is no bank', [...model, '--bank', fixture('tiny/init.safetensors')], /memory_bank/, 1],
])('%s: exit code and fact', { timeout: 60_000 }, async (_what, args, message, code) => {
  const run = await runCli(['detect', images[2]!, ...args, '--quiet', '--json']);
  expect(run.stderr).toMatch(message);
  expect(run.code).toBe(code);
});
