/** What a store asks of the device, on one that computes nothing. */
import { expect, test } from 'vitest';
import { BufferStore } from '../../src/runtime/buffer-store';
import { openSpiedDevice } from '../helpers/spied-device';

const MB = 2 ** 20;

test('an error while a part of the uploads is under way is told, though nobody waits at that moment', async () => {
  let finish: (value?: unknown) => void = () => {};
  const worked = new Promise((done) => {
    finish = done;
  });
  const spy = await openSpiedDevice({ worked });
  const store = new BufferStore(spy.gpu);
  await store.create('w', { dtype: 'f32', shape: [9 * MB] });
  await store.write('w', new Float32Array(9 * MB)); // more than a part: handed over
  spy.fail('the buffer is lost');
  const flushed = store.flush();
  finish();
  await expect(flushed).rejects.toThrow('the buffer is lost');
});

test('a part is 32 MB of what the device gets, whatever it was made of', async () => {
  const spy = await openSpiedDevice();
  const store = new BufferStore(spy.gpu);
  await store.create('w', { dtype: 'f32', shape: [12 * MB] });
  for (const start of [0, 4 * MB]) {
    expect(spy.count('submit')).toBe(0);
    await store.write('w', new Uint16Array(4 * MB), start);
  }
  expect(spy.count('submit')).toBe(1);
});

test('tensors that an error keeps from being allocated are given back, all of them', async () => {
  const spy = await openSpiedDevice();
  const store = new BufferStore(spy.gpu);
  const type = { dtype: 'f32', shape: [4] } as const;
  const created = store.createAll([
    ['a', type],
    ['b', type],
  ]);
  spy.fail('something else went wrong');
  await expect(created).rejects.toThrow('something else');
  expect([spy.count('destroy'), spy.gpu.allocatedBytes, store.has('a')]).toEqual([2, 0, false]);
  await store.createAll([['a', type]]);
  await expect(store.create('a', type)).rejects.toThrow('already has');
});
