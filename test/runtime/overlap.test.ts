/** Runs that overlap, on a made-up device that computes nothing: whose error is whose, and what a run asks of the device. */
import { expect, test } from 'vitest';
import { activation } from '../../src/kernels/activation/activation';
import { BufferStore } from '../../src/runtime/buffer-store';
import { Executable } from '../../src/runtime/executable';
import { Graph } from '../../src/runtime/graph';
import { plan } from '../../src/runtime/plan';
import { openSpiedDevice, type SpiedDevice } from '../helpers/spied-device';

const x = Float32Array.of(1, 2, 3);
const turn = () => new Promise((done) => setTimeout(done, 0));

async function compiled({ gpu }: SpiedDevice): Promise<Executable> {
  const g = new Graph();
  g.output('y', activation(g, g.input('x', 'f32', [3]), 'leaky_relu'));
  return Executable.compile(gpu, plan(g, gpu.caps), new BufferStore(gpu));
}

test('an error that the next run is told of first still spoils the run that it is of', async () => {
  const spy = await openSpiedDevice({ hold: true });
  const executable = await compiled(spy);

  const first = executable.run({ x });
  while (spy.count('map') < 1) await turn();
  spy.fail('out of memory');
  await expect(executable.run({ x })).rejects.toThrow('out of memory');
  spy.finish();
  await expect(first).rejects.toThrow('out of memory');

  const later = executable.run({ x });
  while (spy.count('map') < 2) await turn();
  spy.finish();
  expect([...(await later).y!]).toEqual([0, 0, 0]);
});

test('the next run is uploaded and submitted while the device computes this one', async () => {
  const spy = await openSpiedDevice({ hold: true });
  const executable = await compiled(spy);
  const runs = [executable.run({ x }), executable.run({ x })];
  for (let i = 0; i < 20; i++) await turn();
  const order = spy.calls.map(({ what }) => what).filter((what) => ['write', 'submit'].includes(what));
  expect(order).toEqual(['write', 'submit', 'write', 'submit']);
  spy.finish();
  await turn();
  spy.finish();
  await Promise.all(runs);
});
