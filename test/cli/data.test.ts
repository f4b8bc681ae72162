import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { checkData, type DataReport, registerData } from '../../src/cli/commands/data';
import { makePhantom } from '../../src/data/phantoms';
import { encodeJpeg, encodePng } from '../../src/platform/node/encode-png';
import { OptionError } from '../../src/runtime/errors';

let root: string;
let out: string[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'data-check-'));
  out = [];
  vi.spyOn(console, 'log').mockImplementation((line: string) => void out.push(line));
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
  rmSync(root, { recursive: true });
});

async function check(...args: string[]): Promise<{ text: string; code: number | string | undefined }> {
  out = [];
  process.exitCode = undefined;
  const program = new Command('mla-lp').exitOverride().configureOutput({ writeErr: () => {} });
  registerData(program);
  await program.parseAsync(['data', 'check', '--quiet', ...args], { from: 'user' });
  const code = process.exitCode ?? undefined;
  return { text: out.join('\n'), code };
}

function put(path: string, bytes: Uint8Array | string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), bytes);
}

const phantom = (seed: number) => makePhantom(seed, { modality: 'chest X-ray', size: 48 });

async function putImage(path: string, seed: number): Promise<void> {
  put(path, await encodePng(phantom(seed).image));
}

async function putMask(path: string, size = 48): Promise<void> {
  const data = new Uint8Array(size * size * 3);
  data.fill(255, 0, data.length / 2);
  put(path, await encodePng({ width: size, height: size, data }));
}

/** A whole data set of two normal and two abnormal images a split. @param first seed that no other set has. */
async function dataset(folder: string, first: number): Promise<void> {
  let seed = first;
  for (const split of ['valid', 'test']) {
    for (const i of [0, 1]) {
      await putImage(`${folder}/${split}/good/img/n${i}.png`, seed++);
      await putImage(`${folder}/${split}/Ungood/img/a${i}.png`, seed++);
      await putMask(`${folder}/${split}/Ungood/anomaly_mask/a${i}.png`);
    }
  }
}

const parse = (text: string) => JSON.parse(text) as DataReport;
const kinds = ({ findings }: DataReport) =>
  findings.map(({ kind, files }) => [kind, ...files].join(' ')).sort();

test('a whole data set: a table, exit code 0; --json the same in numbers', async () => {
  await dataset('Brain_AD', 1);
  const { text, code } = await check(join(root, 'Brain_AD'), '--image-size', '48');
  expect(code).toBeUndefined();
  expect(text.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['data set', 'split', 'class', 'images', 'unreadable', 'masks', 'in colour', 'size'],
    ['Brain', 'valid', 'normal', '2', '0', '0', '0', '48 x 48'],
    ['Brain', 'valid', 'abnormal', '2', '0', '2', '0', '48 x 48'],
    ['Brain', 'test', 'normal', '2', '0', '0', '0', '48 x 48'],
    ['Brain', 'test', 'abnormal', '2', '0', '2', '0', '48 x 48'],
    [''],
    ['8 images checked: 0 errors, 0 warnings, 0 hints.'],
  ]);
  const json = parse((await check(join(root, 'Brain_AD'), '--image-size', '48', '--json')).text);
  expect(json).toMatchObject({ errors: 0, warnings: 0, hints: 0, checked: 8, complete: true, findings: [] });
  const valid = parse((await check(join(root, 'Brain_AD'), '--split', 'valid', '--json')).text);
  expect(valid).toMatchObject({ checked: 4, errors: 0 });
});

describe('what is wrong', () => {
  test('a root of several: each is checked, and all against each other; code 1', async () => {
    await dataset('Brain_AD', 1);
    await dataset('Chest_AD', 101);
    put('Brain_AD/valid/good/img/broken.jpg', Uint8Array.of(0xff, 0xd8, 1));
    put('Brain_AD/valid/good/img/notes.txt', 'Mrs Canary');
    await putImage('Brain_AD/test/good/img/again.png', 1);
    await putImage('Chest_AD/test/Ungood/img/foreign.png', 2);
    await putMask('Brain_AD/test/Ungood/anomaly_mask/n0.png');
    put('Half_AD/test/good/img/x.png', 'x');
    const { text, code } = await check(root, '--json');
    expect(code).toBe(1);
    const report = parse(text);
    expect(kinds(report)).toEqual([
      'folder',
      'layout',
      'leak Brain_AD/valid/Ungood/img/a0.png Chest_AD/test/Ungood/img/foreign.png',
      'leak Brain_AD/valid/good/img/n0.png Brain_AD/test/good/img/again.png',
      'marked-normal Brain_AD/test/Ungood/anomaly_mask/n0.png',
      'missing-mask Chest_AD/test/Ungood/img/foreign.png',
      ...report.findings
        .filter(({ kind }) => kind === 'small-image')
        .map(({ files }) => `small-image ${files[0]}`)
        .sort(),
      'unreadable-image Brain_AD/valid/good/img/broken.jpg',
    ]);
    expect(report.findings.find(({ kind }) => kind === 'layout')).toMatchObject({
      dataset: 'Half',
      detail: 'Half_AD: Half_AD/test/good has no folder of abnormal images beside it.',
    });
    expect(text).not.toContain(root);
    expect(text).not.toContain('Canary');
    const people = await check(root);
    expect(people.code).toBe(1);
    expect(people.text).not.toContain(root);
    expect(people.text).toContain(
      'ERROR  Brain: images that cannot be read (1)\n  Brain_AD/valid/good/img/broken.jpg: ',
    );
    expect(people.text).toMatch(/images far smaller than the model's input \(9\)/);
    expect(people.text).toMatch(/19 images checked: 5 errors, \d+ warnings, 0 hints\.$/);
  });

  test('warnings alone leave the exit code; long lists are cut', async () => {
    for (let i = 0; i < 12; i++) await putImage(`Own/normal/${i}.png`, i);
    await putImage('Own/abnormal/a.png', 99);
    const { text, code } = await check(join(root, 'Own'));
    expect(code).toBeUndefined();
    expect(text).toContain("WARNING  Own: images far smaller than the model's input (13)");
    expect(text).toContain('  and 3 more; --json lists all');
  });

  test('a CSV, names that would steer a terminal', async () => {
    await putImage('scans/1.png', 1);
    await putImage('scans/\u001b[31m2.png', 1);
    put('list.csv', 'path,label\nscans/1.png,normal\nscans/\u001b[31m2.png,abnormal\n');
    const { text, code } = await check(join(root, 'list.csv'), '--image-size', '48');
    expect(code).toBe(1);
    expect(text).not.toContain('\u001b');
    expect(text).toContain('scans/1.png = scans/\ufffd[31m2.png: the same bytes');
  });

  test('no data set, no folder', async () => {
    put('empty/readme.md', 'x');
    await expect(check(join(root, 'empty'))).rejects.toThrow(OptionError);
    await expect(check(join(root, 'none'))).rejects.toThrow('there is no such file or folder');
    await dataset('Own', 1);
    rmSync(join(root, 'Own/valid'), { recursive: true });
    const { text, code } = await check(join(root, 'Own'), '--split', 'valid', '--json');
    expect([code, kinds(parse(text))]).toEqual([1, ['layout']]);
  });
});

test('Ctrl-C: what was found so far is printed, with the signal’s exit code', async () => {
  for (let i = 0; i < 40; i++) await putImage(`Own/normal/${i}.png`, i);
  await putImage('Own/abnormal/a.png', 99);
  const before = process.listenerCount('SIGINT');
  const running = check(join(root, 'Own'), '--json');
  while (process.listenerCount('SIGINT') === before) await new Promise((done) => setTimeout(done, 1));
  process.emit('SIGINT');
  const { text, code } = await running;
  expect(code).toBe(130);
  expect(parse(text).complete).toBe(false);
  expect(parse(text).checked).toBeLessThan(41);
});

test('files of any bytes, and images with changed ones, are findings and no failures', async () => {
  const seeds = [1, 2].map((seed) => phantom(seed).image);
  const [png, jpeg] = [await encodePng(seeds[0]!), await encodeJpeg(seeds[1]!, 80)];
  const changed = fc
    .tuple(fc.constantFrom(png, jpeg), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat())
    .map(([file, changes, cut]) => {
      const bytes = Uint8Array.from(file);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      return cut % 3 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes;
    });
  const file = fc.oneof(fc.uint8Array({ maxLength: 200 }), changed);
  await putImage('Own/normal/whole.png', 1);
  await fc.assert(
    fc.asyncProperty(file, file, file, async (normal, abnormal, mask) => {
      put('Own/normal/n.png', normal);
      put('Own/abnormal/a.png', abnormal);
      put('Own/masks/a.png', mask);
      const report = await checkData(join(root, 'Own'), { imageSize: 48, quiet: true });
      expect(report).toMatchObject({ checked: 3, complete: true });
      const unreadable = report.counts.reduce((sum, count) => sum + count.unreadable, 0);
      expect(report.findings.filter(({ kind }) => kind === 'unreadable-image')).toHaveLength(unreadable);
      expect(JSON.stringify(report)).not.toContain(root);
    }),
    { numRuns: 60 },
  );
});
