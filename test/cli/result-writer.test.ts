/** Names of heatmaps: below the common folder, on any system, never two the same. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix, win32 } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import type { Picture, PictureVolume } from '../../src/cli/pictures';
import { outputNames, ResultWriter } from '../../src/cli/result-writer';
import type { SliceGrid } from '../../src/data/volume';

const names = (files: readonly string[], path = posix) => [...outputNames(files, path).values()];

test('names are paths below the common folder without their endings', () => {
  expect(names(['/x/a.png', '/x/sub/b.jpg'])).toEqual(['a', 'sub/b']);
  expect(names(['/a.png', '/x/b.png'])).toEqual(['a', 'x/b']);
  expect(names(['C:\\x\\a.png', 'c:\\X\\sub\\b.png'], win32)).toEqual(['a', 'sub\\b']);
  expect(names([])).toEqual([]);
});

test('images on two drives or shares are named by drive', () => {
  expect(names(['C:\\x\\a.png', 'D:\\a.png'], win32)).toEqual(['C\\x\\a', 'D\\a']);
  expect(names(['\\\\server\\share\\a.png', 'D:\\x\\a.png'], win32)).toEqual(['server\\share\\a', 'D\\x\\a']);
});

test('no two names are the same, nor differ in case alone', () => {
  expect(names(['/x/a.png', '/x/a.jpg', '/x/a.png.png'])).toEqual(['a.png', 'a.jpg', 'a.png-2']);
  expect(names(['/x/a.png', '/x/A.png', '/x/A.PNG'])).toEqual(['a.png', 'A.png-2', 'A.PNG-3']);
  expect(names(['/x/\u00e9.png', '/x/e\u0301.jpg'])).toEqual(['\u00e9.png', 'e\u0301.jpg']);
});

test('two series of one folder stay two, slices drawn with square pixels', async () => {
  const out = mkdtempSync(join(tmpdir(), 'mla-lp-writer-'));
  const image = { width: 2, height: 2, data: new Uint8Array(12).fill(90) };
  const grid: SliceGrid = {
    dims: [2, 2, 2],
    axes: { slice: 2, x: 0, y: 1 },
    flip: { x: false, y: false },
    spacing: [1, 2.5, 3],
  };
  const series = [0, 1].map(() => ({ name: 'study', path: 'study', volume: { grid } }) as PictureVolume);
  const pictures = series.flatMap((volume, i) =>
    [0, 1].map((slice): Picture => {
      const file = join('study', `${i}-${slice}.dcm`);
      return { file, slice, title: file, path: file, input: image, volume };
    }),
  );
  const look = { colormap: 'inferno', opacity: 0.5, range: 'full' } as const;
  const writer = new ResultWriter({ out, ...look, dicom: true }, pictures);
  const map = new Float32Array(4);
  for (const [i, picture] of pictures.entries())
    await writer.add(picture, image, { score: i, levels: [i], map, size: 2 });
  const about = { title: 'x', adapter: 'x', weights: 'x', method: 'x', version: 'x', details: {} };
  const page = readFileSync(await writer.finish(about), 'utf8');
  expect(page.match(/<figure class="slices">/g)).toHaveLength(2);
  // Rows lie 2.5 times as far apart as columns.
  const { width, height } = await sharp(`${writer.nameOf(pictures[0]!)}.heatmap.png`).metadata();
  expect([width, height]).toEqual([2, 5]);
  const seriesOf = (picture: Picture) =>
    readFileSync(`${writer.nameOf(picture)}.heatmap.dcm`, 'latin1').match(/2\.25\.\d+/g)![4];
  const [a, b, c, d] = pictures.map(seriesOf);
  expect([a, c]).toEqual([b, d]);
  expect(a).not.toBe(c);
  rmSync(out, { recursive: true });
});
