/** Names of heatmaps: below the common folder, on any system, never two the same. */
import { posix, win32 } from 'node:path';
import { expect, test } from 'vitest';
import { outputNames } from '../../src/cli/result-writer';

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
