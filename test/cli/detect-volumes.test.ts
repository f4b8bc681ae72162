/** `mla-lp detect` on volumes: a line a slice, curves, exports, and nothing of the patient anywhere. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { openVolume } from '../../src/library/node';
import { CANARIES, el, plain, words } from '../data/make-dicom';
import { makeNifti, NIFTI_CANARIES } from '../data/make-nifti';
import { runCli } from '../helpers/cli';

const folder = mkdtempSync(join(tmpdir(), 'mla-lp-volumes-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const input = join(folder, 'in');
mkdirSync(join(input, 'series'), { recursive: true });

const [columns, rows] = [20, 16];
const values = Array.from(
  { length: columns * rows * 4 },
  (_, i) => (i % columns) * 5 + Math.floor(i / 320) * 20,
);
writeFileSync(
  join(input, 'brain.nii.gz'),
  gzipSync(makeNifti({ dims: [columns, rows, 4], sform: [-2, 0, 0, 1, 0, 2, 0, 2, 0, 0, 3, 3] }, values)),
);
for (const [i, name] of ['c', 'a', 'b'].entries()) {
  const pixels = words(values.slice(i * 320, (i + 1) * 320));
  const place = [
    el(0x00200013, 'IS', String(i + 1)),
    el(0x00281050, 'DS', '80'),
    el(0x00281051, 'DS', '160'),
  ];
  writeFileSync(join(input, 'series', name), plain({ rows, columns, allocated: 16 }, pixels, place));
}
const cine = new Uint8Array(2 * columns * rows).map((_, i) => i % 200);
writeFileSync(join(input, 'cine.dcm'), plain({ rows, columns, frames: 2 }, cine));
writeFileSync(join(input, 'broken.dcm'), plain({ rows, columns, frames: 9 }, cine));

const prompts = join(folder, 'prompts.json');
writeFileSync(prompts, JSON.stringify({ normal: ['a healthy brain'], abnormal: ['a lesion'] }));
const model = ['--weights', 'synthetic:tiny', '--method', 'clip', '--image-size', '28', '--prompts', prompts];

/** Every file below a folder. */
const tree = (path: string): string[] =>
  readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(path, name)).isFile())
    .sort();

test('slices, curves, exports', { timeout: 240_000 }, async () => {
  const out = join(folder, 'out');
  const run = await runCli([
    'detect',
    input,
    ...model,
    '--json',
    '--out',
    out,
    '--export',
    'nifti',
    '--slices',
    '1:',
  ]);
  expect(run.stderr).toContain('broken.dcm: 9 frames take 2880 bytes, the file has 640');
  expect(run.code).toBe(1);
  const lines = run.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.map(({ file, slice }) => [file.slice(input.length + 1), slice])).toEqual([
    ['brain.nii.gz', 1],
    ['brain.nii.gz', 2],
    ['brain.nii.gz', 3],
    ['cine.dcm', 1],
    ['series/a', 1],
    ['series/b', 2],
  ]);
  expect(Object.keys(lines[0])).toEqual(['file', 'slice', 'score', 'levels']);
  expect(tree(out)).toEqual([
    'brain/brain.map.nii.gz',
    'brain/slice-1.heatmap.png',
    'brain/slice-2.heatmap.png',
    'brain/slice-3.heatmap.png',
    'cine/cine.map.nii.gz',
    'cine/slice-1.heatmap.png',
    'report.html',
    'series/a.heatmap.png',
    'series/b.heatmap.png',
    'series/series.map.nii.gz',
  ]);

  const page = readFileSync(join(out, 'report.html'), 'utf8');
  expect(page.match(/<figure class="slices">/g)).toHaveLength(2);
  expect(page).toContain('brain.nii.gz</b> 3 slices, the highest score');
  expect(page).toContain('brain.nii.gz, slice 3');
  expect(page.match(/<polyline points="[\d., -]+"/g)).toHaveLength(2);

  // The map lies in its source's grid: the same voxels, the same place; what was left out has no value.
  const bytes = gunzipSync(readFileSync(join(out, 'brain/brain.map.nii.gz')));
  const source = await openVolume(join(input, 'brain.nii.gz'));
  const map = (i: number) => bytes.readFloatLE(352 + 4 * i);
  expect(bytes.length).toBe(352 + 4 * values.length);
  expect([0, 1, 2].map((k) => bytes.readInt16LE(42 + 2 * k))).toEqual([columns, rows, 4]);
  expect(Array.from({ length: 12 }, (_, k) => bytes.readFloatLE(280 + 4 * k))).toEqual(source.grid.affine);
  for (let i = 0; i < 320; i++) expect(map(i)).toBeNaN();
  for (let i = 320; i < values.length; i++) expect(map(i)).toBeGreaterThan(0);

  const everything = [
    run.stdout,
    run.stderr,
    ...tree(out).map((name) => readFileSync(join(out, name), 'latin1')),
  ];
  for (const canary of [...CANARIES, ...NIFTI_CANARIES]) {
    for (const text of everything) expect(text).not.toContain(canary);
    expect(bytes.includes(canary)).toBe(false);
  }
});

test('DICOM out: one file a slice, nothing of the source', { timeout: 240_000 }, async () => {
  const out = join(folder, 'dicom');
  const series = join(input, 'series');
  const run = await runCli([
    'detect',
    series,
    ...model,
    '--out',
    out,
    '--export',
    'dicom',
    '--window',
    '80,160',
    '--quiet',
  ]);
  expect(run.code).toBe(0);
  expect(tree(out).filter((name) => name.endsWith('.dcm'))).toEqual([
    'a.heatmap.dcm',
    'b.heatmap.dcm',
    'c.heatmap.dcm',
  ]);
  const places = [];
  for (const name of ['c', 'a', 'b']) {
    const path = join(out, `${name}.heatmap.dcm`);
    const volume = await openVolume(path);
    expect(await volume.slice(0)).toMatchObject({ width: columns, height: rows });
    places.push(volume.place!);
    const text = readFileSync(path, 'latin1');
    for (const canary of CANARIES) expect(text).not.toContain(canary);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  }
  expect(places.map(({ instance }) => instance)).toEqual([1, 2, 3]);
  expect(new Set(places.map(({ series }) => series)).size).toBe(1);
  // Not the source's.
  expect(places[0]!.series).not.toBe('2.25.4');
});

test.each([
  ['--axis on frames', ['cine.dcm', '--axis', '0'], /cut as they were acquired, not across axis 0/],
  [
    'no such slice',
    ['brain.nii.gz', '--slices', '9:'],
    /--slices names none of its 4 slices\. They count from 0 to 3/,
  ],
  ['no such volume', ['brain.nii.gz', '--volume', '2'], /there is no volume 2\. Give 0 to 0/],
  ['a window that is none', ['brain.nii.gz', '--window', '40,0'], /CENTRE,WIDTH/],
  ['slices that are none', ['brain.nii.gz', '--slices', '1:2:0'], /a:b:step/],
  ['--volume on frames', ['cine.dcm', '--volume', '0'], /--volume is for NIfTI/],
  ['an axis that is none', ['brain.nii.gz', '--axis', '3'], /0, 1 or 2/],
  ['an export without a folder', ['brain.nii.gz', '--export', 'dicom', '--json'], /needs a folder/],
])('%s', { timeout: 60_000 }, async (_, [file, ...flags], message) => {
  const run = await runCli(['detect', join(input, file!), ...model, ...flags, '--quiet'], folder);
  expect(run.stderr).toMatch(message);
  expect(run.code).toBe(2);
  expect(existsSync(join(folder, 'mla-lp-results'))).toBe(false);
});

test('flags of volumes are refused where there is none', { timeout: 60_000 }, async () => {
  const png = join(folder, 'a.png');
  writeFileSync(png, 'no matter');
  for (const flags of [
    ['--slices', '0:1'],
    ['--export', 'nifti'],
  ]) {
    const run = await runCli(['detect', png, ...model, ...flags, '--quiet'], folder);
    expect(run.stderr).toMatch(/for DICOM and NIfTI, and none of the files is one/);
    expect(run.code).toBe(2);
  }
});
