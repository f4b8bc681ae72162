/** Files of a DICOM series: which belong together, in which order; volumes among other files. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { listImages } from '../../src/data/node/list-images';
import { findVolumes } from '../../src/data/node/volumes';
import { type GrayWindow, openVolume, type Volume } from '../../src/data/volume';
import { groupSeries, type SeriesMember, seriesVolume } from '../../src/data/volume-series';
import { openVolume as openFile } from '../../src/library/node';
import { decoders } from '../../src/platform/node/decode-image';
import { BadImageError } from '../../src/runtime/errors';
import { el, plain } from './make-dicom';
import { makeNifti } from './make-nifti';

const folder = mkdtempSync(join(tmpdir(), 'mla-lp-series-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const member = (name: string, place: Partial<SeriesMember['place']>, columns = 4): SeriesMember => ({
  name,
  columns,
  rows: 4,
  place: { series: '1.2', plane: {}, ...place },
});
const names = (groups: SeriesMember[][]) => groups.map((group) => group.map(({ name }) => name));

test('along the normal of the slices, whatever the instance numbers say', () => {
  // Coronal: rows to the left, columns to the feet; the normal points to the back.
  const orientation = [1, 0, 0, 0, 0, -1];
  const at = (y: number) => ({ orientation, position: [5, y, 7] });
  const members = [
    member('a', { plane: at(10), instance: 1 }),
    member('b', { plane: at(-10), instance: 2 }),
    member('c', { plane: at(0), instance: 3 }),
  ];
  expect(names(groupSeries(members))).toEqual([['b', 'c', 'a']]);
});

test('by instance number where places are missing or not distinct, else by name', () => {
  const same = { orientation: [1, 0, 0, 0, 1, 0], position: [0, 0, 1] };
  expect(names(groupSeries([member('a', { instance: 10 }), member('b', { instance: 9 })]))).toEqual([
    ['b', 'a'],
  ]);
  const two = [member('a', { plane: same, instance: 2 }), member('b', { plane: same, instance: 1 })];
  expect(names(groupSeries(two))).toEqual([['b', 'a']]);
  expect(names(groupSeries([member('b', {}), member('a', { instance: 1 })]))).toEqual([['a', 'b']]);
});

test('other series, other sizes and lone files are no company', () => {
  const members = [
    member('a', {}),
    member('b', { series: '1.3' }),
    member('c', {}, 5),
    member('d', {}),
    member('e', {}),
  ];
  expect(names(groupSeries(members))).toEqual([['a', 'd', 'e']]);
});

test('a folder of mixed files', async () => {
  const slice = (z: number, value: number) =>
    plain({ rows: 1, columns: 2 }, Uint8Array.of(0, value), [
      el(0x00200032, 'DS', `1\\2\\${z}`),
      el(0x00200037, 'DS', '1\\0\\0\\0\\1\\0'),
      el(0x00280030, 'DS', '0.5\\0.25'),
      el(0x00281050, 'DS', '128'),
      el(0x00281051, 'DS', '256'),
    ]);
  writeFileSync(join(folder, 'IM2'), slice(0, 10));
  writeFileSync(join(folder, 'IM1'), slice(6, 20));
  writeFileSync(join(folder, '1.2.840.3'), slice(3, 30));
  writeFileSync(join(folder, 'brain.nii'), makeNifti({ dims: [2, 2, 3] }, Array(12).fill(1)));
  writeFileSync(join(folder, 'one.dcm'), plain({}, new Uint8Array(6), [el(0x0020000e, 'UI', '2.25.99')]));
  writeFileSync(join(folder, 'broken.dcm'), Buffer.from(plain({}, new Uint8Array(6)).subarray(0, 200)));
  writeFileSync(join(folder, 'picture.png'), 'no matter');
  writeFileSync(join(folder, 'notes'), 'not looked at further');
  writeFileSync(join(folder, 'old.heatmap.dcm'), 'an earlier run');
  writeFileSync(join(folder, 'brain.map.nii.gz'), 'an earlier run');
  const files = await listImages([folder]);
  expect(files.map((file) => file.slice(folder.length + 1))).toEqual([
    '1.2.840.3',
    'IM1',
    'IM2',
    'brain.nii',
    'broken.dcm',
    'one.dcm',
    'picture.png',
  ]);
  const found = await findVolumes(files, (file) => openFile(file));
  expect(found.map(({ kind }) => kind)).toEqual(['volume', 'volume', 'broken', 'single', 'picture']);
  const [series] = found;
  if (series?.kind !== 'volume') throw new Error('no series');
  expect(series.files.map((file) => file.slice(folder.length + 1))).toEqual(['IM2', '1.2.840.3', 'IM1']);
  const middle = await Promise.all([0, 1, 2].map(async (i) => (await series.volume.slice(i)).data[3]));
  expect(middle).toEqual([10, 30, 20]);
  // LPS+ to RAS+: left and back change sign; 0.25 mm between columns, 0.5 between rows, 3 between slices.
  expect(series.volume.grid.affine).toEqual([-0.25, 0, 0, -1, 0, -0.5, 0, -2, 0, 0, 3, 0]);
  expect(series.volume.grid.spacing).toEqual([0.25, 0.5, 3]);
});

test('slices of files without a window share one, unless it is given', async () => {
  const series = join(folder, 'plain');
  mkdirSync(series);
  for (const [i, high] of [100, 50, 200].entries()) {
    const place = [el(0x00200013, 'IS', String(i))];
    writeFileSync(join(series, `${i}.dcm`), plain({ rows: 1, columns: 2 }, Uint8Array.of(0, high), place));
  }
  const files = await listImages([series]);
  const levels = async (given?: GrayWindow) => {
    const [found] = await findVolumes(files, (file, shared) => {
      const window = given ?? shared;
      return openFile(file, window && { window });
    });
    if (found?.kind !== 'volume') throw new Error('no series');
    return Promise.all([0, 1, 2].map(async (i) => (await found.volume.slice(i)).data[3]));
  };
  expect(await levels()).toEqual([128, 64, 255]);
  expect(await levels({ center: 50, width: 100 })).toEqual([255, 128, 255]);
});

test('a damaged file among them spoils its own slice alone', async () => {
  const member = { columns: 2, rows: 1, place: { series: '1.2', plane: {} } };
  const members = ['low', 'torn', 'high'].map((name) => ({ ...member, name }));
  const picture = { width: 1, height: 1, data: new Uint8Array(3) };
  const windows: unknown[] = [];
  const open = async ({ name }: SeriesMember, window?: GrayWindow): Promise<Volume> => {
    if (window) windows.push(window);
    const broken = () => Promise.reject(new BadImageError(name, 'it is cut off'));
    const range = async () => (name === 'low' ? ([0, 10] as const) : ([5, 30] as const));
    const torn = name === 'torn';
    return {
      ...seriesVolume([members[0]!], [], open),
      ...(window ? {} : { valueRange: torn ? broken : range }),
      slice: torn ? broken : async () => picture,
    };
  };
  const series = seriesVolume(members, [], open);
  await expect(series.slice(1)).rejects.toThrow('torn');
  for (const i of [0, 2]) expect(await series.slice(i)).toBe(picture);
  expect(windows.at(-1)).toEqual({ center: 15, width: 30 });
});

test('a multi-frame file tells each plane', async () => {
  const plane = (z: number) => [el(0x00209113, 'SQ', [[el(0x00200032, 'DS', `0\\0\\${z}`)]])];
  const bytes = plain({ rows: 1, columns: 1, frames: 3 }, Uint8Array.of(1, 2, 3), [
    el(0x52009229, 'SQ', [[el(0x00209116, 'SQ', [[el(0x00200037, 'DS', '1\\0\\0\\0\\1\\0')]])]]),
    el(0x52009230, 'SQ', [plane(10), plane(8), plane(6)]),
  ]);
  const { grid } = await openVolume(decoders, bytes, 'scan');
  expect(grid.affine).toEqual([-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -2, 10]);
});
