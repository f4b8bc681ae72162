import { expect, test } from 'vitest';
import { calibrationOf } from '../../src/evaluation/calibration';
import { finishEvaluation } from '../../src/evaluation/finish';
import { FusedResults } from '../../src/evaluation/fusion';
import { MemoryResults } from '../../src/evaluation/memory-results';
import type { RawHeader, RawResult } from '../../src/evaluation/raw-results';
import { header, made } from './raw';

async function results(overrides: Partial<RawHeader>): Promise<MemoryResults> {
  const raw = new MemoryResults(header(overrides));
  for (let i = 0; i < 9; i++) {
    const { outcome, maps } = made(i);
    await raw.append(outcome, maps);
  }
  return raw;
}

/** (x - min) / (max - min) over all values of all images, straight from the definition. */
function minMax(values: readonly number[][]): number[][] {
  const all = values.flat();
  const [low, high] = [Math.min(...all), Math.max(...all)];
  return values.map((row) => row.map((v) => (v - low) / (high - low)));
}

const images = Array.from({ length: 9 }, (_, i) => made(i));
const zero = minMax(images.map(({ maps }) => [...maps.zeroShot]));
const few = minMax(images.map(({ maps }) => [...maps.fewShot!]));

test('few-shot with masks: half of each scaled map, and its maximum', async () => {
  let i = 0;
  for await (const { score, map } of new FusedResults(await results({}))) {
    const wanted = zero[i]!.map((v, p) => 0.5 * v + 0.5 * few[i]![p]!);
    wanted.forEach((v, p) => {
      expect(map[p]).toBeCloseTo(v, 6);
    });
    expect(score).toBeCloseTo(Math.max(...wanted), 6);
    i++;
  }
  expect(i).toBe(9);
});

test('few-shot without masks: half of each scaled score', async () => {
  const outcomes = images.map(({ outcome }) => outcome as RawResult);
  const [a] = minMax([outcomes.map((o) => o.zeroShot)]);
  const [b] = minMax([outcomes.map((o) => o.fewShot!)]);
  let i = 0;
  for await (const { score } of new FusedResults(await results({ hasMasks: false }))) {
    expect(score).toBeCloseTo(0.5 * a![i]! + 0.5 * b![i]!, 12);
    i++;
  }
});

test('zero-shot: score and map as they are', async () => {
  const raw = await results({ protocol: 'zero-shot', fused: false });
  let i = 0;
  for await (const { score, map } of new FusedResults(raw)) {
    expect(score).toBe((images[i]!.outcome as RawResult).zeroShot);
    expect(map).toEqual(images[i]!.maps.zeroShot);
    i++;
  }
});

test('an image that met no bank is named', async () => {
  const raw = await results({});
  const { outcome, maps } = made(4);
  const { fewShot: _score, fewShotRange: _range, ...rest } = outcome as RawResult;
  await raw.append(rest, maps);
  expect(() => new FusedResults(raw)).toThrow('img/4.png was not compared with a memory bank.');
});

test('few-shot with final results: as they are, but for april-gan half of each largest value, scaled', async () => {
  const outcomes = images.map(({ outcome }) => outcome as RawResult);
  const [largest] = minMax([images.map(({ maps }) => Math.max(...maps.zeroShot))]);
  for (const method of ['winclip', 'april-gan']) {
    let i = 0;
    for await (const { score, map } of new FusedResults(await results({ method, fused: false }))) {
      const own = outcomes[i]!.zeroShot;
      expect(score).toBeCloseTo(method === 'winclip' ? own : 0.5 * own + 0.5 * largest![i]!, 12);
      expect(map).toEqual(images[i]!.maps.zeroShot);
      i++;
    }
    expect(i).toBe(9);
  }
  const zeroShot = await results({ method: 'april-gan', fused: false, protocol: 'zero-shot' });
  for await (const { result, score } of new FusedResults(zeroShot)) expect(score).toBe(result.zeroShot);
});

test("april-gan's few-shot scores have no threshold that holds elsewhere", async () => {
  const options = { resamples: 2 };
  for (const protocol of ['zero-shot', 'few-shot'] as const) {
    const raw = await results({ method: 'april-gan', fused: false, protocol });
    const record = await finishEvaluation(raw, options);
    if (protocol === 'few-shot') expect(() => calibrationOf(record, raw)).toThrow(/holds for no other image/);
    else expect(Number.isFinite(calibrationOf(record, raw).image)).toBe(true);
  }
});
