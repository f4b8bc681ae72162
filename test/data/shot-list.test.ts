import { expect, test } from 'vitest';
import { chooseShots, makeDataset } from '../../src/data/datasets';
import { parseShotList } from '../../src/data/shot-list';
import { OptionError } from '../../src/runtime/errors';

const dataset = makeDataset('Brain', 'Brain_AD', [
  ...['01_9.png', '02.b.png', '03.png', '03.jpg', '05 left.png'].map((name) => ({
    path: `good/img/${name}`,
    abnormal: false,
  })),
  ...['x/1.png', 'y/1.png', 'y/2.png'].map((path) => ({ path, abnormal: true })),
]);

const choose = (text: string, k: number | 'all' = 'all', draw = 0) =>
  chooseShots(dataset, k, { seed: 0, list: parseShotList(text, '2-shot.txt', draw) }).images.map(
    ({ path }) => path,
  );

test('the published form, in either order and without a last line end', () => {
  expect(parseShotList('a-0: 9_76.png 4_71.png\nn-0: 6_25.png 3_8.png', 'l')).toEqual({
    name: 'l',
    normal: ['6_25.png', '3_8.png'],
    abnormal: ['9_76.png', '4_71.png'],
  });
});

test('several draws, commas, tabs, blank lines, a byte order mark and CRLF', () => {
  const text = '\ufeffn-0: a b\r\na-0:\tc\td\r\n\r\nN-1: e f.png, g,\r\nA-1 : h\r\n';
  expect(parseShotList(text, 'l')).toEqual({ name: 'l', normal: ['a', 'b'], abnormal: ['c', 'd'] });
  expect(parseShotList(text, 'l', 1)).toEqual({ name: 'l', normal: ['e f.png', 'g'], abnormal: ['h'] });
});

test.each([
  ['n-0: a\n', 0, 'it has no line a-0. It has n-0.'],
  ['n-0: a\na-0: b', 3, 'it has no line n-3. It has n-0, a-0.'],
  ['n-0:\na-0: b', 0, 'its line n-0 names no file'],
  ['', 0, 'it has no line n-0. It has no line at all.'],
  ['n-0: a\nn-0: b\na-0: c', 0, 'line 2: there is a line n-0 already'],
  ['n-0: a\nJane Doe\na-0: c', 0, 'line 2: this is not a line of a shot list'],
  ['n-x: a', 0, 'line 1: this is not a line'],
])('%j, draw %i, is refused', (text, draw, fact) => {
  let error: unknown;
  try {
    parseShotList(text, 'list.txt', draw);
  } catch (e) {
    error = e;
  }
  expect(error).toBeInstanceOf(OptionError);
  expect((error as OptionError).fact).toContain('list.txt');
  expect((error as OptionError).fact).toContain(fact);
  expect((error as OptionError).message).not.toContain('Jane');
});

test('images by name, by stem, with another ending and by path', () => {
  expect(choose('n-0: 01_9 02.b\na-0: 2.jpeg x/1.png', 2)).toEqual([
    'good/img/01_9.png',
    'good/img/02.b.png',
    'x/1.png',
    'y/2.png',
  ]);
  expect(choose('n-0: valid/good/img/03.jpg, ./05 left\na-0: 2 y\\1.png', 2)).toEqual([
    'good/img/03.jpg',
    'good/img/05 left.png',
    'y/1.png',
    'y/2.png',
  ]);
});

test.each([
  ['n-0: 07.png\na-0: 2', 'all', '07.png is none of the 5 normal images of Brain'],
  // Of the other class.
  ['n-0: 2.png\na-0: 2', 'all', '2.png is none of the 5 normal images'],
  // The end of a name is no name.
  ['n-0: 9.png\na-0: 2', 'all', '9.png is none of'],
  ['n-0: 03\na-0: 2', 'all', '03 could be good/img/03.jpg or good/img/03.png'],
  ['n-0: 01_9\na-0: 1.png', 'all', '1.png could be x/1.png or y/1.png'],
  ['n-0: 01_9 01_9.png\na-0: 2', 'all', 'good/img/01_9.png is listed twice, as 01_9 and 01_9.png'],
  ['n-0: 01_9\na-0: 2', 2, '1 normal images are listed where 2 shots are asked for'],
] as const)('%j for %s shots is refused', (text, k, fact) => {
  expect(() => choose(text, k)).toThrow(OptionError);
  expect(() => choose(text, k)).toThrow(`2-shot.txt: ${fact}`);
});
