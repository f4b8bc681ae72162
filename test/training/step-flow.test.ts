/** What a training step asks of a device, on one that computes nothing. */
import { expect, test } from 'vitest';
import { Clip } from '../../src/model/clip';
import { readClipConfig } from '../../src/model/clip-config';
import { PAPER } from '../../src/model/presets';
import { Trainer } from '../../src/training/trainer';
import { openSpiedDevice } from '../helpers/spied-device';
import { tinyCase } from './tiny';

const SIZE = 56;

test('after a failure of the device within a step nothing goes on from what it left', async () => {
  const spy = await openSpiedDevice({ hold: true });
  const { weights, init, samples } = await tinyCase(SIZE);
  const clip = new Clip(spy.gpu, weights, readClipConfig(weights), 'f32');
  const trainer = await Trainer.create(clip, samples, {
    preset: PAPER,
    imageSize: SIZE,
    batch: 2,
    init,
    steps: 2,
  });
  const step = trainer.run().next();
  const until = performance.now() + 20_000;
  while (spy.count('map') === 0 && performance.now() < until)
    await new Promise((done) => setTimeout(done, 0));
  spy.fail('it broke');
  spy.finish();
  await expect(step).rejects.toThrow('it broke');
  await expect(trainer.run().next()).rejects.toThrow(/Step 1 has not ended, or failed midway/);
  await expect(trainer.state()).rejects.toThrow(/of no use/);
  await trainer.destroy();
});

test('a step in parts is handed over whole, update included, before its one readback', async () => {
  const spy = await openSpiedDevice({ hold: true });
  const { weights, init, samples } = await tinyCase(SIZE);
  const clip = new Clip(spy.gpu, weights, readClipConfig(weights), 'f32');
  const settings = {
    preset: PAPER,
    imageSize: SIZE,
    batch: 4,
    microBatch: 2,
    steps: 2,
    init,
    augment: false,
  };
  const trainer = await Trainer.create(clip, samples, settings);
  const steps = trainer.run();
  // The first step compiles, and caches features.
  for (const dispatches of [undefined, 3]) {
    const record = steps.next();
    spy.calls.length = 0;
    const until = performance.now() + 20_000;
    while (spy.count('map') === 0 && performance.now() < until)
      await new Promise((done) => setTimeout(done, 0));
    // Nothing was read back so far, and nothing more comes.
    await new Promise((done) => setTimeout(done, 20));
    expect(spy.count('map')).toBe(1);
    if (dispatches !== undefined) {
      const order = spy.calls.flatMap(({ what }) =>
        what === 'pass' || what === 'submit' || what === 'map' ? [what] : [],
      );
      expect(order).toEqual(['pass', 'submit', 'pass', 'submit', 'pass', 'submit', 'map']);
    }
    await expect(trainer.state()).rejects.toThrow(/Step \d has not ended/);
    spy.finish();
    await record;
  }
  await trainer.destroy();
});
