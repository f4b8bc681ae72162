import { expect, test } from 'vitest';
import {
  CALIBRATION_KEY,
  calibrationOf,
  readCalibration,
  type SavedCalibration,
} from '../../src/evaluation/calibration';
import { finishEvaluation } from '../../src/evaluation/finish';
import { FusedResults } from '../../src/evaluation/fusion';
import { judge } from '../../src/evaluation/judge';
import { MemoryResults } from '../../src/evaluation/memory-results';
import type { RawHeader, RawResult } from '../../src/evaluation/raw-results';
import { header, made, SIZE } from './raw';

async function calibrated(overrides: Partial<RawHeader>) {
  const raw = new MemoryResults(header(overrides));
  for (let i = 0; i < 9; i++) {
    const { outcome, maps } = made(i);
    await raw.append(outcome, maps);
  }
  const record = await finishEvaluation(raw, { resamples: 0 });
  // As a model's file keeps it.
  const text = JSON.stringify(calibrationOf(record, raw, 'youden'));
  const calibration = readCalibration(new Map([[CALIBRATION_KEY, text]]), 'model')!;
  return { raw, record, calibration };
}

function detection(index: number) {
  const { outcome, maps } = made(index);
  const { zeroShot: score, fewShot } = outcome as RawResult;
  return {
    score,
    levels: [],
    size: SIZE,
    map: maps.zeroShot,
    memory: { map: maps.fewShot!, detMean: fewShot! },
  };
}

test.each<[string, Partial<RawHeader>]>([
  ['few-shot with masks', {}],
  ['few-shot without masks', { hasMasks: false }],
  ['zero-shot', { protocol: 'zero-shot', fused: false }],
])(
  '%s: a detection gets the score of the evaluation, to the bit, and its label',
  async (_name, overrides) => {
    const { raw, record, calibration } = await calibrated(overrides);
    const fused = new FusedResults(raw);
    for (const [i, result] of fused.results.entries()) {
      const judgement = judge(detection(i), calibration)!;
      expect(judgement.score).toBe(record.images[i]!.score);
      expect(judgement.label).toBe(judgement.score >= calibration.image ? 'abnormal' : 'normal');
      expect(judgement.map).toEqual((await fused.fused(result)).map);
    }
    const labels = fused.results.map((_, i) => judge(detection(i), calibration)!.label);
    expect(new Set(labels).size).toBe(2);
    expect(calibration.pixel === undefined).toBe(overrides.hasMasks === false);
  },
);

test('a few-shot threshold says nothing of a detection without a bank', async () => {
  const { calibration } = await calibrated({});
  const { memory: _memory, ...without } = detection(0);
  expect(judge(without, calibration)).toBeUndefined();
});

test('a calibration that cannot be read is refused, not ignored', () => {
  for (const text of ['{', '{}', '{"version":1}', '{"version":2,"image":1}', '{"version":1,"image":null}'])
    expect(() => readCalibration(new Map([[CALIBRATION_KEY, text]]), 'm.safetensors')).toThrow(
      'm.safetensors: its calibration cannot be read',
    );
  expect(readCalibration(new Map(), 'm')).toBeUndefined();
});

test('the threshold itself is abnormal', () => {
  const calibration: SavedCalibration = {
    version: 1,
    protocol: 'zero-shot',
    rule: 'f1max',
    image: 2,
    fromMap: false,
    dataset: 'd',
    split: 'valid',
    n: 4,
  };
  const { memory: _memory, ...found } = detection(0);
  expect(judge({ ...found, score: 2 }, calibration)?.label).toBe('abnormal');
  expect(judge({ ...found, score: 1.999 }, calibration)?.label).toBe('normal');
});
