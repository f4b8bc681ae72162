/** `train` and `train-zero` with images that cannot be used. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../helpers/cli';
import { fixture } from '../helpers/goldens';

const root = mkdtempSync(join(tmpdir(), 'mla-lp-keep-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const cut = (name: string) => readFileSync(fixture(`tiny/${name}`)).subarray(0, 100);

/** The tiny golden images, 1 and 3 abnormal, and with `broken` one of each class and a mask that cannot be used. */
function make(folder: string, broken: boolean): void {
  for (const part of ['normal', 'abnormal', 'masks']) mkdirSync(join(folder, part), { recursive: true });
  for (const i of [0, 1, 2, 3]) {
    cpSync(fixture(`tiny/image${i}.png`), join(folder, i % 2 ? 'abnormal' : 'normal', `image${i}.png`));
    if (i % 2) cpSync(fixture(`tiny/mask${i}.png`), join(folder, 'masks', `image${i}.png`));
  }
  if (!broken) return;
  writeFileSync(join(folder, 'normal/image1b.png'), cut('image1.png'));
  writeFileSync(join(folder, 'abnormal/image2b.png'), cut('image2.png'));
  cpSync(fixture('tiny/image2.png'), join(folder, 'abnormal/image2c.png'));
  writeFileSync(join(folder, 'masks/image2c.png'), cut('mask1.png'));
}

const BROKEN = ['normal/image1b.png', 'abnormal/image2b.png', 'masks/image2c.png'];
const whole = join(root, 'whole');
const partly = join(root, 'partly');

beforeAll(() => {
  make(whole, false);
  make(partly, true);
  for (const name of ['One_AD', 'Two_AD', 'Held_AD'])
    make(join(root, 'zero', name, 'test'), name === 'Two_AD');
});

/** Four images, one batch. */
const RUN = [
  ...['--weights', fixture('tiny/clip.safetensors'), '--init', fixture('tiny/init.safetensors')],
  ...['--image-size', '100', '--batch', '4', '--steps', '1', '--no-shuffle'],
];

test('every broken file is named, nothing is trained, exit code 1', async () => {
  const out = join(root, 'none.safetensors');
  const { code, stderr } = await runCli(['train', partly, ...RUN, '--no-augment', '--out', out]);
  expect(code).toBe(1);
  for (const path of BROKEN) expect(stderr).toContain(`mla-lp: ${join(partly, path)}: `);
  expect(stderr).toContain('3 of 7 images cannot be used; nothing was trained.');
  expect(stderr).toContain('--keep-going');
  expect(existsSync(out)).toBe(false);
  // Before the device and CLIP are opened.
  expect(stderr).not.toMatch(/adapter|loaded/i);
});

test('with --keep-going they are listed, and the model is bit for bit the one without them', async () => {
  const [left, clean] = ['left', 'clean'].map((name) => join(root, `${name}.safetensors`)) as [
    string,
    string,
  ];
  const options = [...RUN, '--no-augment', '--quiet', '--out'];
  const { code, stderr } = await runCli(['train', partly, '--keep-going', ...options, left]);
  expect({ code, stderr: stderr.split('\n').filter((line) => line.includes('left out')) }).toEqual({
    code: 0,
    stderr: [
      ...BROKEN.map((path) => expect.stringContaining(`mla-lp: left out: ${join(partly, path)}: `)),
      'mla-lp: 3 of 7 images cannot be used and were left out.',
    ],
  });
  const other = await runCli(['train', whole, ...options, clean]);
  expect(other.code).toBe(0);
  const tensors = (path: string) => {
    const file = readFileSync(path);
    return file.subarray(8 + Number(file.readBigUInt64LE(0)));
  };
  expect(tensors(left).equals(tensors(clean))).toBe(true);
});

test('train-zero: in any of its data sets; nothing left of a class is an error even so', async () => {
  const out = join(root, 'zero.safetensors');
  const args = ['train-zero', join(root, 'zero'), '--hold-out', 'Held', ...RUN, '--out', out];
  const stopped = await runCli(args);
  expect(stopped.code).toBe(1);
  expect(stopped.stderr).toContain('3 of 11 images cannot be used');
  expect((await runCli([...args, '--keep-going', '--quiet'])).code).toBe(0);
  expect(existsSync(out)).toBe(true);
  const none = join(root, 'nothing');
  make(none, false);
  for (const i of [0, 2]) writeFileSync(join(none, `normal/image${i}.png`), 'no image');
  const { code, stderr } = await runCli(['train', none, ...RUN, '--out', out, '--keep-going']);
  expect(code).toBe(2);
  expect(stderr).toContain('there are 0 normal and 2 abnormal images');
});
