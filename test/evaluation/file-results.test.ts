import { appendFile, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { finishEvaluation } from '../../src/evaluation/finish';
import { mergeResults } from '../../src/evaluation/merge';
import { FileResults, listResults, resultsPath } from '../../src/evaluation/node/file-results';
import { type RawHeader, type RawMaps, shardIndices } from '../../src/evaluation/raw-results';
import { header, made } from './raw';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mla-lp-results-'));
});
afterEach(() => rm(folder, { recursive: true }));

const write = (path: string, overrides: Partial<RawHeader> = {}, command = 'eval') =>
  FileResults.write(path, { header: header(overrides), versions: { adapter: 'made up' }, command });

async function fill(results: FileResults, indices: readonly number[]): Promise<void> {
  for (const i of indices) {
    const { outcome, maps } = made(i);
    if (!results.has(i)) await results.append(outcome, maps);
  }
}

const plain = (maps: RawMaps) => Object.fromEntries(Object.entries(maps).map(([k, v]) => [k, [...v]]));

test('what is written is read back, bit for bit', async () => {
  const path = resultsPath(folder, 1, 1);
  const results = await write(path);
  await fill(results, [3, 0, 8]);
  await results.append({ index: 5, name: 'img/5.png', error: 'It is broken.' });
  await results.close();
  const read = await FileResults.read(path);
  expect(read.outcomes.map(({ index }) => index)).toEqual([0, 3, 5, 8]);
  for (const i of [0, 3, 8]) expect(plain(await read.maps(i))).toEqual(plain(made(i).maps));
  await read.close();
  if (process.platform !== 'win32') expect((await stat(`${path}.maps`)).mode & 0o077).toBe(0);
});

test('a killed run goes on: a torn line and a slot without line are written again', async () => {
  const path = resultsPath(folder, 1, 1);
  const first = await write(path);
  await fill(first, [0, 1, 2, 3]);
  await first.close();
  // As a kill in the middle of the fourth line leaves it: its slot is there, the line is not whole.
  const { size } = await stat(`${path}.jsonl`);
  await truncate(`${path}.jsonl`, size - 10);
  const second = await write(path, {}, 'eval again');
  expect(second.outcomes).toHaveLength(3);
  await fill(second, [0, 1, 2, 3, 4]);
  for (const i of [0, 1, 2, 3, 4]) expect(plain(await second.maps(i))).toEqual(plain(made(i).maps));
  expect(second.commands).toEqual(['eval', 'eval again']);
  await second.close();
});

test('another evaluation in the same place is refused, saying what differs', async () => {
  const path = resultsPath(folder, 1, 1);
  await (await write(path)).close();
  await expect(write(path, { preset: 'paper' })).rejects.toThrow(
    'preset is authors in one and paper in the other',
  );
  await expect(write(path, { images: 'other' })).rejects.toThrow('the lists of images differ');
  await expect(write(path, { configuration: { weights: 'v' } })).rejects.toThrow('weights is w in one and v');
});

test('two runs in one place: the second is refused while the first writes', async () => {
  const path = resultsPath(folder, 1, 1);
  const first = await write(path);
  await expect(write(path)).rejects.toThrow('is writing there');
  await first.close();
  await (await write(path)).remove();
  expect(await readdir(folder)).toEqual([]);
});

test('a run that goes on tries failures again, and names what ran before', async () => {
  const path = resultsPath(folder, 1, 1);
  const first = await write(path);
  await fill(first, [0]);
  await first.append({ index: 1, name: 'img/1.png', error: 'It is broken.' });
  await first.close();
  const versions = { adapter: 'another', node: 'v20' };
  const second = await FileResults.write(path, { header: header(), versions, command: 'eval' });
  expect([second.has(0), second.has(1)]).toEqual([true, false]);
  expect(second.versions).toEqual({ adapter: 'made up; another', node: 'v20' });
  await fill(second, [1]);
  for (const i of [0, 1]) expect(plain(await second.maps(i))).toEqual(plain(made(i).maps));
  await second.close();
  const third = await FileResults.write(path, { header: header(), versions, command: 'eval' });
  expect(third.versions).toEqual({ adapter: 'made up; another', node: 'v20' });
  await third.close();
});

test('damaged files are found', async () => {
  const path = resultsPath(folder, 1, 1);
  const results = await write(path);
  await fill(results, [0, 1]);
  const bytes = await readFile(`${path}.maps`);
  bytes[20]! ^= 1;
  await writeFile(`${path}.maps`, bytes);
  await expect(results.maps(0)).rejects.toThrow('the maps of image 0 are damaged');
  await expect(results.maps(1)).resolves.toBeDefined();
  await results.close();
  await appendFile(`${path}.jsonl`, '{"index": 99, "name": "x"}\n');
  await expect(FileResults.read(path)).rejects.toThrow('line 4 is no result');
  const [top] = (await readFile(`${path}.jsonl`, 'utf8')).split('\n');
  for (const line of ['null', '{"index":0,"name":"x","slot":0,"zeroShot":1}', '{"index":0,"name":"x"}']) {
    await writeFile(`${path}.jsonl`, `${top}\n${line}\n`);
    await expect(FileResults.read(path), line).rejects.toThrow('line 2 is no result');
  }
  await writeFile(`${path}.jsonl`, '{"format":"other"}\n');
  await expect(FileResults.read(path)).rejects.toThrow('these are no raw results');
  await expect(listResults(join(folder, 'missing'))).rejects.toThrow('ENOENT');
});

test('shards share the images between them', () => {
  const parts = [1, 2, 3].map((i) => shardIndices(10, i, 3));
  expect(parts.flat().sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(Math.max(...parts.map((p) => p.length)) - Math.min(...parts.map((p) => p.length))).toBeLessThan(2);
});

async function shards(count: number, overrides: Partial<RawHeader>[] = []): Promise<FileResults[]> {
  const made: FileResults[] = [];
  for (let i = 1; i <= count; i++) {
    const results = await write(
      resultsPath(folder, i, count),
      overrides[i - 1] ?? {},
      `eval --shard ${i}/${count}`,
    );
    await fill(results, shardIndices(9, i, count));
    made.push(results);
  }
  return made;
}

test('merged shards give what one run gives', async () => {
  const one = await write(resultsPath(folder, 1, 1, 'whole'));
  await fill(one, shardIndices(9, 1, 1));
  const parts = await shards(2);
  const options = { resamples: 50, created: new Date(0) };
  const { commands, ...whole } = await finishEvaluation(one, options);
  const merged = await finishEvaluation(mergeResults(parts.reverse()), options);
  expect({ ...merged, commands }).toEqual({ ...whole, commands });
  expect(merged.commands).toHaveLength(2);
  for (const results of [one, ...parts]) await results.close();
});

test('shards that do not belong together are refused', async () => {
  const [first, second] = await shards(2);
  expect(() => mergeResults([first!])).toThrow('4 of 9 images are missing in raw-1-of-2');
  expect(() => mergeResults([first!, second!, first!])).toThrow(
    'img/0.png is in raw-1-of-2 and in raw-1-of-2',
  );
  await Promise.all([first!.close(), second!.close()]);
  const others = await shards(3, [{}, { method: 'clip' }]);
  expect(() => mergeResults(others)).toThrow('method is mla-lp in one and clip in the other');
  await Promise.all(others.map((r) => r.close()));
});
