import { afterEach, describe, expect, test, vi } from 'vitest';
import { activation, activationOp } from '../../src/kernels/activation/activation';
import { gemm } from '../../src/kernels/gemm/gemm';
import { reduce } from '../../src/kernels/reduce/reduce';
import { weightedSum } from '../../src/kernels/weighted-sum/weighted-sum';
import { acquireAdapter } from '../../src/platform/node/adapter';
import { BufferStore, lookupIn } from '../../src/runtime/buffer-store';
import { Gpu } from '../../src/runtime/device';
import { DeviceLostError, GpuError, ShapeError } from '../../src/runtime/errors';
import { Executable } from '../../src/runtime/executable';
import { Graph } from '../../src/runtime/graph';
import type { Op } from '../../src/runtime/op';
import { plan } from '../../src/runtime/plan';
import { openTestGpu } from '../helpers/gpu';

const gpu = await openTestGpu();
const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const free of cleanup.splice(0)) free();
});

function newStore(): BufferStore {
  const store = new BufferStore(gpu);
  cleanup.push(() => store.destroy());
  return store;
}

async function compile(g: Graph, store = newStore(), on = gpu): Promise<Executable> {
  const executable = await Executable.compile(on, plan(g, on.caps), store, { poison: true });
  if (on === gpu) cleanup.push(() => executable.destroy());
  return executable;
}

/** y = leaky_relu(x) + 2 x, with x itself in several places. */
function mixGraph(): Graph {
  const g = new Graph();
  const x = g.input('x', 'f32', [3]);
  const y = weightedSum(g, [activation(g, x, 'leaky_relu'), x, x], [1, 1, 1]);
  g.output('y', y);
  g.output('sum', reduce(g, y, 0, 'sum'));
  return g;
}

describe('run', () => {
  test('computes, again and again, on inputs of its own', async () => {
    const executable = await compile(mixGraph());
    const first = await executable.run({ x: Float32Array.of(1, 2, -100) });
    expect([...first.y!]).toEqual([3, 6, -201]);
    expect([...first.sum!]).toEqual([-192]);
    const second = await executable.run({ x: Float32Array.of(0, 1, 1) });
    expect([...second.y!]).toEqual([0, 3, 3]);
    expect([...first.y!], 'an earlier result stays').toEqual([3, 6, -201]);
  });

  test('calls queue up in order', async () => {
    const executable = await compile(mixGraph());
    const results = await Promise.all(
      [1, 2, 3, 4].map((n) => executable.run({ x: Float32Array.of(n, n, n) })),
    );
    expect(results.map((r) => r.y![0])).toEqual([3, 6, 9, 12]);
  });

  test('reads only what is wanted', async () => {
    const executable = await compile(mixGraph());
    const x = Float32Array.of(1, 1, 1);
    expect(Object.keys(await executable.run({ x }, { wanted: ['sum'] }))).toEqual(['sum']);
    expect(await executable.run({ x }, { wanted: [] })).toEqual({});
    await expect(executable.run({ x }, { wanted: ['nothing'] })).rejects.toThrow('no output nothing');
  });

  test('a missing, unknown, short or wrongly typed input is refused, and the next run works', async () => {
    const executable = await compile(mixGraph());
    const x = Float32Array.of(1, 1, 1);
    await expect(executable.run({})).rejects.toThrow('Input x must hold 3 values (f32[3]), not nothing');
    await expect(executable.run({ x: Float32Array.of(1) })).rejects.toThrow('not 1');
    await expect(executable.run({ x, z: x })).rejects.toThrow('no input z');
    await expect(executable.run({ x: Uint32Array.of(1, 1, 1) })).rejects.toThrow(ShapeError);
    expect([...(await executable.run({ x })).sum!]).toEqual([9]);
  });

  test('an element that no kernel writes reads as NaN', async () => {
    const g = new Graph();
    const short: Op<{ kind: 'leaky_relu' }> = {
      ...activationOp,
      variants: [
        {
          name: 'plain',
          lower: (call, caps) => {
            const lowering = activationOp.variants[0]!.lower(call, caps);
            if ('cannot' in lowering) return lowering;
            const dispatches = lowering.dispatches.map((d) => ({ ...d, constants: { COUNT: 2 } }));
            return { ...lowering, dispatches };
          },
        },
      ],
    };
    g.output('y', g.apply(short, [g.input('x', 'f32', [3])], { kind: 'leaky_relu' })[0]!);
    const executable = await compile(g);
    expect([...(await executable.run({ x: Float32Array.of(1, 2, 3) })).y!]).toEqual([1, 2, Number.NaN]);
  });
});

describe('weights', () => {
  const graph = () => {
    const g = new Graph();
    g.output('y', gemm(g, g.input('x', 'f32', [1, 2]), g.weight('w', 'f32', [3, 2])));
    return g;
  };

  test('are written in parts and found in the first store that has them', async () => {
    const [frozen, own] = [newStore(), newStore()];
    await own.create('w', { dtype: 'f32', shape: [3, 2] });
    await own.write('w', Float32Array.of(1, 0, 0, 1));
    await own.write('w', Float32Array.of(10, 20), 4);
    expect(own.bytes).toBe(32);
    const executable = await Executable.compile(gpu, plan(graph(), gpu.caps), lookupIn(frozen, own));
    cleanup.push(() => executable.destroy());
    expect([...(await executable.run({ x: Float32Array.of(3, 4) })).y!]).toEqual([3, 4, 110]);
  });

  test('must be there, in the shape that the graph wants', async () => {
    const store = newStore();
    await expect(compile(graph(), store)).rejects.toThrow('no tensor w');
    await store.create('w', { dtype: 'f32', shape: [2, 3] });
    await expect(compile(graph(), store)).rejects.toThrow('Weight w is f32[2,3], the graph wants f32[3,2]');
  });

  test('cannot be made twice or written past the end; f16 goes in whole words', async () => {
    const store = newStore();
    await store.create('w', { dtype: 'f16', shape: [5] });
    await expect(store.create('w', { dtype: 'f16', shape: [5] })).rejects.toThrow('already has');
    await expect(store.write('w', new Float32Array(6))).rejects.toThrow('no room for 6 values at 0');
    await expect(store.write('w', new Float32Array(2), 4)).rejects.toThrow('no room');
    await expect(store.write('w', new Float32Array(1), 3)).rejects.toThrow('whole 4-byte words');
    await expect(store.write('w', new Float32Array(3), 0)).rejects.toThrow('whole 4-byte words');
    await store.write('w', new Float32Array(4), 0);
    await store.write('w', new Float32Array(1), 4);
    await store.flush();
  });
});

describe('resources', () => {
  test('everything that was allocated is freed', async () => {
    const before = gpu.allocatedBytes;
    const store = new BufferStore(gpu);
    await store.create('w', { dtype: 'f32', shape: [100] });
    const executable = await Executable.compile(gpu, plan(mixGraph(), gpu.caps), store);
    expect(gpu.allocatedBytes).toBeGreaterThan(before + 400);
    executable.destroy();
    store.destroy();
    expect(gpu.allocatedBytes).toBe(before);
  });

  test('a kernel that does not compile is named, with the line, and nothing is kept', async () => {
    const g = new Graph();
    const wrong: Op<null> = {
      name: 'wrong',
      infer: ([x]) => [x!],
      variants: [
        {
          name: 'plain',
          lower: () => ({
            variant: 'plain',
            dispatches: [
              {
                kernel: {
                  name: 'wrong_kernel',
                  wgsl: '@group(0) @binding(0) var<storage, read_write> y: array<f32>;\n@compute @workgroup_size(1) fn main() {\n  y[0] = 1u;\n}',
                },
                bindings: { y: { output: 0 } },
                workgroups: [1, 1, 1],
              },
            ],
          }),
        },
      ],
      choose: () => 'plain',
      flops: () => 0,
    };
    g.output('y', g.apply(wrong, [g.input('x', 'f32', [1])], null)[0]!);
    const before = gpu.allocatedBytes;
    const failure = compile(g);
    await expect(failure).rejects.toThrow(GpuError);
    await expect(failure).rejects.toThrow(/wrong_kernel does not compile: 3:/);
    expect(gpu.allocatedBytes).toBe(before);
  });

  test('a lost device rejects the pending run, and every later one, at once', async () => {
    const doomed = await Gpu.open(await acquireAdapter());
    const executable = await compile(mixGraph(), newStore(), doomed);
    const pending = executable.run({ x: Float32Array.of(1, 2, 3) });
    doomed.destroy();
    await expect(pending).rejects.toThrow(DeviceLostError);
    await expect(executable.run({ x: Float32Array.of(1, 2, 3) })).rejects.toThrow(DeviceLostError);
    expect(doomed.isLost).toBe(true);
    // Work that fails because of the loss is nobody's unhandled rejection.
    const unhandled = vi.fn();
    process.once('unhandledRejection', unhandled);
    await expect(doomed.guard(Promise.reject(new Error('aborted')))).rejects.toThrow(DeviceLostError);
    await new Promise((done) => setTimeout(done, 0));
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });
});

test('profiles per step where the device has timestamps', async (context) => {
  const executable = await compile(mixGraph());
  const profile = executable.profile({ x: Float32Array.of(1, 2, 3) });
  if (!gpu.device.features.has('timestamp-query')) {
    await expect(profile).rejects.toThrow('no timestamp queries');
    context.skip(`${gpu.name} has no timestamp queries`);
  }
  const times = await profile;
  expect(times.map((t) => t.label)).toEqual(['activation', 'weighted_sum', 'reduce']);
  for (const { nanoseconds } of times) expect(nanoseconds).toBeGreaterThanOrEqual(0);
});
