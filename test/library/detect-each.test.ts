/** The stream's order, its overlap, and what an interruption leaves. No device. */
import { expect, test } from 'vitest';
import { type BatchModel, detectInBatches } from '../../src/library/detect-each';
import { type Platform, setPlatform } from '../../src/library/platform';
import { AbortedError, BadImageError } from '../../src/runtime/errors';

const SIZE = 2;
const picture = (value: number) => ({ width: SIZE, height: SIZE, data: new Uint8Array(12).fill(value) });
const tick = () => new Promise((done) => setTimeout(done, 1));

setPlatform({
  readImage: async (input: string) => {
    await tick();
    if (input === 'broken') throw new BadImageError('broken', 'it is broken');
    return picture(Number(input));
  },
} as unknown as Platform);

/** Answers with each image's first value; `log` gets "in" and "out" of each batch. */
function model(log: string[] = [], batch = 2): BatchModel {
  return {
    batch,
    imageSize: SIZE,
    async run(pixels, observe) {
      const from = performance.now();
      const name = pixels.map((p) => Math.round(p[0]! * 255)).join(' ');
      log.push(`device in ${name}`);
      for (let i = 0; i < 5; i++) await tick();
      log.push(`device out ${name}`);
      observe?.('device', from, performance.now());
      return pixels.map((p) => ({
        score: Math.round(p[0]! * 255),
        levels: [],
        map: new Float32Array(4),
        size: SIZE,
      }));
    },
  };
}

test('outcomes come in order, broken images among them', async () => {
  const found: unknown[] = [];
  for await (const outcome of detectInBatches(['1', 'broken', '3', '4', '5'], model()))
    found.push('error' in outcome ? 'error' : outcome.detection.score);
  expect(found).toEqual([1, 'error', 3, 4, 5]);
});

test('the device computes while results are taken', async () => {
  const log: string[] = [];
  const stages: string[] = [];
  const observe = (stage: string, from: number, to: number) => stages.push(`${stage} ${to >= from}`);
  for await (const outcome of detectInBatches(
    ['1', '2', '3', '4', '5', '6'],
    model(log),
    undefined,
    observe,
  )) {
    if (outcome.index !== 0) continue;
    // The caller is slow with the first result: the next batch has been on the device meanwhile.
    for (let i = 0; i < 30; i++) await tick();
    expect(log).toContain('device out 3 4');
  }
  expect(stages.filter((s) => s === 'decode true')).toHaveLength(3);
  expect(stages.filter((s) => s === 'device true')).toHaveLength(3);
});

test('an interrupted stream gives what is finished, then ends', async () => {
  const controller = new AbortController();
  const found: number[] = [];
  const stream = (async () => {
    for await (const outcome of detectInBatches(
      Array.from({ length: 20 }, (_, i) => String(i)),
      model(),
      controller.signal,
    )) {
      found.push(outcome.index);
      if (outcome.index === 2) controller.abort();
    }
  })();
  await expect(stream).rejects.toThrow(AbortedError);
  expect(found.slice(0, 4)).toEqual([0, 1, 2, 3]);
  expect(found.length).toBeLessThan(10);
});

test('stopping early waits for the device', async () => {
  const log: string[] = [];
  for await (const _ of detectInBatches(['1', '2', '3', '4', '5', '6', '7', '8'], model(log))) break;
  const ins = log.filter((l) => l.startsWith('device in')).length;
  expect(log.filter((l) => l.startsWith('device out'))).toHaveLength(ins);
});

test('an error that concerns all images ends the stream', async () => {
  const failing: BatchModel = { batch: 1, imageSize: SIZE, run: () => Promise.reject(new Error('lost')) };
  await expect(
    (async () => {
      for await (const _ of detectInBatches(['1', '2', '3'], failing));
    })(),
  ).rejects.toThrow('lost');
});
