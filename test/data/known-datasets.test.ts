import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { chooseShots, type Dataset, fileStem, matchMasks } from '../../src/data/datasets';
import { knownDataset, knownDatasets } from '../../src/data/known-datasets';
import {
  datasetFolders,
  findShotList,
  openDataset,
  openDatasets,
  openSplit,
  splitsOf,
} from '../../src/data/node/datasets';
import { parseShotList } from '../../src/data/shot-list';
import { fixedPrompts } from '../../src/model/prompts';
import { OptionError } from '../../src/runtime/errors';

const root = mkdtempSync(join(tmpdir(), 'mla-lp-known-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function put(folder: string, files: readonly string[]): string {
  for (const file of files) {
    const path = join(root, folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, 'x');
  }
  return join(root, folder);
}

const listing = (folder: string, { images }: Dataset): string[] =>
  images.map(({ path, abnormal, mask }) =>
    [relative(folder, path), abnormal ? 1 : 0, ...(mask === undefined ? [] : [relative(folder, mask)])]
      .join(' ')
      .replaceAll('\\', '/'),
  );

/** Files of one split, as the six are published: the endings, and names as the published shot lists spell them. */
const published: Readonly<Record<string, { normal: string[]; abnormal: string[]; masks: string[] }>> = {
  Brain: { normal: ['00004_60.png'], abnormal: ['00017_84.png'], masks: ['00017_84.png'] },
  Liver: { normal: ['5_360.png', '10_305.png'], abnormal: ['6_391.png'], masks: ['6_391.PNG'] },
  Retina_RESC: { normal: ['6_25.png'], abnormal: ['9_76.PNG', '4_71.png'], masks: ['4_71.png', '9_76.png'] },
  Retina_OCT2017: { normal: ['NORMAL-5324912-1.jpeg'], abnormal: ['DME-9721607-2.jpeg'], masks: [] },
  Chest: {
    normal: ['Normal-ff5b2932-f065-4b79-b2f8-ec2143ffc977.png'],
    abnormal: ['Lung_Opacity_3dcd38ce-8adc-4c9b-92f7-768a33611f57.png'],
    masks: [],
  },
  Histopathology: { normal: ['1116.png', '399.png'], abnormal: ['1094.png', '1045.png'], masks: [] },
};

/** @param cased folder names as some archives have them. */
function tree(where: string, cased = (name: string) => name): string {
  for (const [name, { normal, abnormal, masks }] of Object.entries(published)) {
    for (const split of ['valid', 'test']) {
      const at = (...parts: string[]) => join(`${name}_AD`, ...[split, ...parts].map(cased));
      put(where, [
        ...normal.map((file) => join(at('good', 'img'), file)),
        ...abnormal.map((file) => join(at('Ungood', 'img'), file)),
        ...masks.map((file) => join(at('Ungood', 'anomaly_mask'), file)),
      ]);
    }
  }
  return join(root, where);
}

test('the six: folder, object of the fixed sentences, pixel labels', () => {
  expect(knownDatasets.map(({ name }) => name)).toEqual(Object.keys(published));
  for (const { name, folder, hasMasks } of knownDatasets) {
    expect(folder).toBe(`${name}_AD`);
    expect(hasMasks).toBe(published[name]!.masks.length > 0);
  }
  expect(knownDatasets.map(({ object }) => object)).toEqual([
    'Brain',
    'Liver',
    'retinal OCT',
    'retinal OCT',
    'Chest X-ray film',
    'histopathological image',
  ]);
  expect(fixedPrompts(knownDataset('chest_AD')!.object).normal).toContain(
    'a photo of the flawless Chest X-ray film.',
  );
  expect(knownDataset('RETINA_resc')!.name).toBe('Retina_RESC');
  expect(knownDataset('phantoms')).toBeUndefined();
});

test.each([
  ['as published', (name: string) => name],
  ['upper case', (name: string) => name.toUpperCase()],
  ['lower case', (name: string) => name.toLowerCase()],
])('every folder of the six, %s: each split, masks where there are some', async (title, cased) => {
  const all = tree(title, cased);
  expect(await datasetFolders(all)).toEqual(knownDatasets.map(({ folder }) => folder).sort());
  expect((await openDatasets(all)).map(({ name }) => name).sort()).toEqual(Object.keys(published).sort());
  for (const { name, folder, hasMasks } of knownDatasets) {
    const place = join(all, folder);
    const { normal, abnormal, masks } = published[name]!;
    for (const split of ['valid', 'test'] as const) {
      const dataset = await openDataset(place, { split });
      expect(dataset.name).toBe(name);
      expect(dataset.hasMasks).toBe(hasMasks);
      expect(dataset.warnings).toEqual([]);
      const at = (...parts: string[]) => [split, ...parts].map(cased).join('/');
      const maskOf = (file: string) => masks.find((m) => m.toLowerCase() === file.toLowerCase());
      expect(listing(place, dataset)).toEqual([
        ...[...normal].sort().map((file) => `${at('good', 'img')}/${file} 0`),
        ...[...abnormal].sort().map((file) => {
          const mask = maskOf(file);
          return `${at('Ungood', 'img')}/${file} 1${mask ? ` ${at('Ungood', 'anomaly_mask')}/${mask}` : ''}`;
        }),
      ]);
    }
    expect(await splitsOf(place)).toEqual(['valid', 'test']);
    for (const split of ['valid', 'test'] as const)
      expect(await openSplit(place, split)).toEqual(await openDataset(place, { split }));
  }
});

test('published shot lists: abnormal line first, found beside the data sets, drawn from valid', async () => {
  const all = tree('lists');
  const text = 'a-0: DME-9721607-2.jpeg\nn-0: NORMAL-5324912-1.jpeg';
  put('lists', ['fewshot_seed/Retina_OCT2017/1-shot.txt', 'Liver/2-shot.txt', 'Chest_AD/4-shot.txt']);
  const found = await findShotList(all, 'Retina_OCT2017', 1);
  expect(found).toBe(join(all, 'fewshot_seed', 'Retina_OCT2017', '1-shot.txt'));
  expect(await findShotList(all, 'Liver', 2)).toBe(join(all, 'Liver', '2-shot.txt'));
  expect(await findShotList(all, 'Chest', 4)).toBe(join(all, 'Chest_AD', '4-shot.txt'));
  expect(await findShotList(all, 'Liver', 4)).toBeUndefined();
  const valid = await openDataset(join(all, 'Retina_OCT2017_AD'), { split: 'valid' });
  const { images } = chooseShots(valid, 1, { seed: 1, list: parseShotList(text, found!) });
  expect(images.map(({ path }) => path)).toEqual(valid.images.map(({ path }) => path));
});

test('splits: val is valid, one of two, none kept apart, a CSV, half of one, none', async () => {
  const val = put('val', ['Val/good/a.png', 'Val/Ungood/b.png', 'Test/good/c.png', 'Test/Ungood/d.png']);
  expect(await splitsOf(val)).toEqual(['valid', 'test']);
  expect(listing(val, await openSplit(val, 'valid'))).toEqual(['Val/good/a.png 0', 'Val/Ungood/b.png 1']);
  const one = put('one', ['test/good/c.png', 'test/Ungood/d.png']);
  expect(await splitsOf(one)).toEqual(['test']);
  const plain = put('plain', ['normal/a.png', 'abnormal/b.png']);
  expect(await splitsOf(plain)).toEqual(['all']);
  expect((await openSplit(plain, 'all')).images).toHaveLength(2);
  writeFileSync(join(plain, 'list.csv'), 'path,label\nnormal/a.png,0\nabnormal/b.png,1\n');
  expect(await splitsOf(join(plain, 'list.csv'))).toEqual(['all']);
  expect((await openSplit(join(plain, 'list.csv'), 'all')).images).toHaveLength(2);
  const half = put('half', ['valid/good/a.png', 'test/good/c.png', 'test/Ungood/d.png']);
  expect(await splitsOf(half)).toEqual(['valid', 'test']);
  await expect(openSplit(half, 'valid')).rejects.toThrow('no folder of abnormal images beside it');
  await expect(splitsOf(put('none', ['a.png']))).rejects.toThrow(OptionError);
});

test('stems that differ in case: the mask that is written alike, else the only one, else none', async () => {
  const make = (name: string, ...masks: string[]) =>
    put(name, [
      'test/good/img/N.png',
      ...['A.png', 'a.png', 'B.png'].map((file) => `test/Ungood/img/${file}`),
      ...masks.map((file) => `test/Ungood/anomaly_mask/${file}`),
    ]);
  const exact = make('case', 'a.png', 'A.PNG', 'b_MASK.png', 'n.png');
  const { images, unused, warnings } = await openDataset(exact, { split: 'test' });
  const masks = images.slice(1).map(({ mask }) => relative(join(exact, 'test/Ungood/anomaly_mask'), mask!));
  expect(masks).toEqual(['A.PNG', 'b_MASK.png', 'a.png']);
  expect(unused.ofNormal.map((path) => relative(exact, path).replaceAll('\\', '/'))).toEqual([
    'test/Ungood/anomaly_mask/n.png',
  ]);
  expect(warnings).toHaveLength(1);
  const twins = put('case2', [
    'test/good/img/N.png',
    ...['Aa.png', 'aA.png'].map((file) => `test/Ungood/img/${file}`),
    'test/Ungood/anomaly_mask/aa.png',
  ]);
  await expect(openDataset(twins, { split: 'test' })).rejects.toThrow('could be the mask of');
});

test('whatever files are called: each mask is used once or named as unused, and belongs by its stem', () => {
  const name = fc
    .tuple(
      fc.constantFrom('a', 'A', 'b', 'a_mask', 'a_MASK', 'é', 'e\u0301', '.a', 'a.b'),
      fc.constantFrom('.png', '.PNG', '.jpg', ''),
    )
    .map((parts) => parts.join(''));
  const names = fc.uniqueArray(name, { maxLength: 6 });
  fc.assert(
    fc.property(names, names, names, (normal, abnormal, masks) => {
      const at = (folder: string, files: readonly string[]) => files.map((file) => `${folder}/${file}`);
      let matched: ReturnType<typeof matchMasks>;
      try {
        matched = matchMasks('set', at('n', normal), at('a', abnormal), at('m', masks));
      } catch (error) {
        expect(error).toBeInstanceOf(OptionError);
        return;
      }
      const { images, unused } = matched;
      expect(images.map(({ path }) => path)).toEqual(at('a', abnormal));
      const used = images.flatMap(({ mask }) => mask ?? []);
      expect([...used, ...unused.stray, ...unused.ofNormal].sort()).toEqual(at('m', masks).sort());
      const folded = (path: string) => fileStem(path).toLowerCase();
      for (const { path, mask } of images)
        if (mask !== undefined)
          expect([folded(mask), folded(mask).replace(/_mask$/, '')]).toContain(folded(path));
      for (const mask of unused.stray)
        expect(images.map(({ path }) => fileStem(path))).not.toContain(fileStem(mask));
    }),
    { numRuns: 500 },
  );
});
