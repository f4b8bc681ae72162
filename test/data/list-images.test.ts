import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { globPattern, listImages } from '../../src/data/node/list-images';
import { OptionError } from '../../src/runtime/errors';

const root = mkdtempSync(join(tmpdir(), 'mla-lp-list-'));
const at = (...names: string[]) => join(root, ...names);
const relative = (paths: string[]) => paths.map((path) => path.slice(root.length + 1).replaceAll('\\', '/'));

beforeAll(() => {
  for (const folder of ['set/good/img', 'set/Ungood/anomaly_mask', 'set/.cache', 'empty']) {
    mkdirSync(at(folder), { recursive: true });
  }
  for (const file of [
    'set/good/img/b.PNG',
    'set/good/img/a.jpeg',
    'set/good/img/notes.txt',
    'set/Ungood/anomaly_mask/a.png',
    'set/.cache/c.png',
    'scan[1].png',
    'photo',
  ]) {
    writeFileSync(at(file), '');
  }
  symlinkSync(at('set'), at('set/good/loop'), 'dir');
});
afterAll(() => rmSync(root, { recursive: true }));

test('a folder gives its images, sorted, without masks, hidden files or loops', async () => {
  const found = relative(await listImages([at('set')]));
  expect(found.slice(0, 2)).toEqual(['set/good/img/a.jpeg', 'set/good/img/b.PNG']);
  expect(found.every((path) => /\.(png|jpeg)$/i.test(path) && !/mask|cache/.test(path))).toBe(true);
  expect(found.length).toBeLessThan(50);
});

test('files are taken as they are, once, whatever they are called', async () => {
  const found = await listImages([at('scan[1].png'), at('photo'), at('photo'), `${root}/./photo`]);
  expect(relative(found)).toEqual(['photo', 'scan[1].png']);
});

test('patterns', async () => {
  expect(
    relative(await listImages([`${root}/set/good/img/*.jpeg`, `${root}/set/good/img/*.{PNG,jpeg}`])),
  ).toEqual(['set/good/img/a.jpeg', 'set/good/img/b.PNG']);
});

test('heatmaps of an earlier run are no images, unless they are named', async () => {
  mkdirSync(at('again'));
  for (const name of ['a.png', 'a.heatmap.png', 'b.heatmap.PNG']) writeFileSync(at('again', name), '');
  expect(relative(await listImages([at('again')]))).toEqual(['again/a.png']);
  expect(relative(await listImages([`${root}/again/*.png`]))).toEqual(['again/a.png']);
  expect(relative(await listImages([`${root}/again/*.heatmap.png`]))).toEqual(['again/a.heatmap.png']);
  rmSync(at('again'), { recursive: true });
});

test('backslashes stand between folders on Windows only', () => {
  expect(globPattern('C:\\x\\*.png', 'win32')).toBe('C:/x/*.png');
  expect(globPattern('x/\\*.png', 'linux')).toBe('x/\\*.png');
});

test('a path that cannot be looked at is a typed error with its code', async () => {
  symlinkSync(at('circle'), at('circle'));
  await expect(listImages([at('circle')])).rejects.toThrow(/ELOOP/);
  await expect(listImages([at('circle')])).rejects.toThrow(OptionError);
  await expect(listImages([at('x'.repeat(5000))])).rejects.toThrow(/ENAMETOOLONG/);
  rmSync(at('circle'));
  const long = `${root}/{photo,${'x'.repeat(5000)}}`;
  expect(relative(await listImages([long]))).toEqual(['photo']);
});

test.each([
  ['nothing', []],
  ['a missing file', [at('none.png')]],
  ['a folder without images', [at('empty')]],
  ['a pattern without matches', [`${root}/*.gif`]],
])('%s is a typed error', async (_, inputs) => {
  await expect(listImages(inputs)).rejects.toThrow(OptionError);
});
