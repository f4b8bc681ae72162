/** Runs that overlap, on a made-up device that computes nothing: whose error is whose. */
import { expect, test } from 'vitest';
import { activation } from '../../src/kernels/activation/activation';
import type { AdapterChoice } from '../../src/runtime/adapter';
import { BufferStore } from '../../src/runtime/buffer-store';
import { Gpu } from '../../src/runtime/device';
import { Executable } from '../../src/runtime/executable';
import { Graph } from '../../src/runtime/graph';
import { plan } from '../../src/runtime/plan';

const LIMITS = {
  maxBufferSize: 2 ** 28,
  maxStorageBufferBindingSize: 2 ** 27,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupsPerDimension: 65535,
};

/** @param maps takes what ends each mapping that is waited for. */
function fakeDevice(maps: (() => void)[]) {
  const nothing = () => ({});
  const pass = { setPipeline() {}, setBindGroup() {}, dispatchWorkgroups() {}, end() {} };
  return {
    limits: LIMITS,
    features: new Set<string>(),
    lost: new Promise(() => {}),
    onuncapturederror: (_event: { error: { message: string } }) => {},
    queue: { writeBuffer() {}, submit() {} },
    pushErrorScope() {},
    popErrorScope: async () => null,
    createBuffer: ({ size }: { size: number }) => ({
      size,
      destroy() {},
      unmap() {},
      mapAsync: () => new Promise<void>((done) => maps.push(done)),
      getMappedRange: () => new ArrayBuffer(size),
    }),
    createShaderModule: nothing,
    createBindGroupLayout: nothing,
    createPipelineLayout: nothing,
    createComputePipelineAsync: async () => ({ getBindGroupLayout: nothing }),
    createBindGroup: nothing,
    createCommandEncoder: () => ({ beginComputePass: () => pass, copyBufferToBuffer() {}, finish: nothing }),
  };
}

test('an error that the next run is told of first still spoils the run that it is of', async () => {
  const maps: (() => void)[] = [];
  const device = fakeDevice(maps);
  const adapter = { info: {}, limits: LIMITS, features: new Set(), requestDevice: async () => device };
  const gpu = await Gpu.open({ adapter, software: true } as unknown as AdapterChoice);
  const g = new Graph();
  g.output('y', activation(g, g.input('x', 'f32', [3]), 'leaky_relu'));
  const executable = await Executable.compile(gpu, plan(g, gpu.caps), new BufferStore(gpu));
  const x = Float32Array.of(1, 2, 3);

  const first = executable.run({ x });
  while (maps.length === 0) await new Promise((done) => setTimeout(done, 0));
  device.onuncapturederror({ error: { message: 'out of memory' } });
  await expect(executable.run({ x })).rejects.toThrow('out of memory');
  maps[0]!();
  await expect(first).rejects.toThrow('out of memory');

  const later = executable.run({ x });
  while (maps.length === 1) await new Promise((done) => setTimeout(done, 0));
  maps[1]!();
  expect([...(await later).y!]).toEqual([0, 0, 0]);
});
