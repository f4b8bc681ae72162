/** The comparison methods as a user runs them: WinCLIP zero- and few-shot, APRIL-GAN trained and used. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../helpers/cli';
import { fixture } from '../helpers/goldens';

const root = mkdtempSync(join(tmpdir(), 'mla-lp-test-'));
const data = join(root, 'tiny');
const image = fixture('tiny/image1.png');
const WEIGHTS = ['--weights', fixture('tiny/clip.safetensors')];
const SMALL = ['--image-size', '42'];
const QUIET = ['--json', '--quiet'];

/** The tiny golden images 1 and 3 are abnormal. */
beforeAll(() => {
  for (const folder of ['normal', 'abnormal', 'masks']) mkdirSync(join(data, folder), { recursive: true });
  for (const i of [0, 1, 2, 3]) {
    cpSync(fixture(`tiny/image${i}.png`), join(data, i % 2 ? 'abnormal' : 'normal', `image${i}.png`));
    if (i % 2) cpSync(fixture(`tiny/mask${i}.png`), join(data, 'masks', `image${i}.png`));
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** The one line that a run prints. */
async function detected(args: readonly string[]): Promise<{ score: number; levels: number[] }> {
  const run = await runCli(['detect', image, ...WEIGHTS, ...args, ...QUIET]);
  expect(run.code, run.stderr).toBe(0);
  return JSON.parse(run.stdout);
}

test('winclip: references change its score', { timeout: 240_000 }, async () => {
  const prompts = join(root, 'sentences.txt');
  writeFileSync(prompts, '[normal]\na healthy scan.\n[abnormal]\na scan with a lesion.\n');
  const args = ['--method', 'winclip', '--prompts', prompts, ...SMALL];
  const zero = await detected(args);
  expect(zero.score).toBeGreaterThan(0);
  expect(zero.score).toBeLessThan(1);
  expect(zero.levels).toEqual([zero.score]);
  const few = await detected([...args, '--bank-images', join(data, 'normal')]);
  // The mean with a distance that is none of an image in the bank, and below that of opposites.
  expect(few.score).not.toBe(zero.score);
  expect(few.score).toBeGreaterThan(zero.score / 2);
  expect(few.score).toBeLessThan((zero.score + 1) / 2);
});

test('april-gan: trained on masks, then recognised by its file', { timeout: 240_000 }, async () => {
  const out = join(root, 'layers.safetensors');
  const prompts = join(root, 'sentences.txt');
  writeFileSync(prompts, '[normal]\na healthy scan.\n[abnormal]\na scan with a lesion.\n');
  const options = [
    '--method',
    'april-gan',
    '--prompts',
    prompts,
    '--no-augment',
    '--batch',
    '2',
    '--steps',
    '2',
  ];
  const trained = await runCli(['train', data, ...WEIGHTS, ...SMALL, ...options, '--quiet', '--out', out]);
  expect(trained.code, trained.stderr).toBe(0);
  const { score, levels } = await detected(['--checkpoint', out]);
  expect(levels).toHaveLength(4);
  expect(score).toBeGreaterThan(0);
  expect(score).toBeLessThan(1);
});

test.each([
  [
    'winclip with a checkpoint',
    ['--method', 'winclip', '--checkpoint', image],
    /winclip takes no --checkpoint/,
  ],
  ['april-gan without', ['--method', 'april-gan'], /april-gan needs --checkpoint: trained linear layers/],
  ['a bank file', ['--method', 'winclip', '--bank', image], /winclip takes no --bank/],
  ['no room for windows', ['--method', 'winclip', '--image-size', '28'], /no window of 3 x 3/],
])('%s: exit code and fact', { timeout: 60_000 }, async (_what, args, message) => {
  const run = await runCli(['detect', image, ...WEIGHTS, ...args, ...QUIET]);
  expect(run.stderr).toMatch(message);
  expect(run.code).toBe(2);
});

test('april-gan has no bank to write', async () => {
  const run = await runCli(['train', data, ...WEIGHTS, '--method', 'april-gan', '--bank', '--quiet']);
  expect(run.stderr).toMatch(/no --bank to write/);
  expect(run.code).toBe(2);
});
