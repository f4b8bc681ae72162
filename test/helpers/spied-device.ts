/** A made-up device that computes nothing and tells what it was asked to do. */
import type { AdapterChoice } from '../../src/runtime/adapter';
import { Gpu } from '../../src/runtime/device';

const LIMITS = {
  maxBufferSize: 2 ** 28,
  maxStorageBufferBindingSize: 2 ** 27,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupsPerDimension: 65535,
};

/** What the device was asked for, in order. */
export interface Call {
  readonly what:
    | 'pipeline'
    | 'buffer'
    | 'destroy'
    | 'write'
    | 'pass'
    | 'dispatch'
    | 'copy'
    | 'submit'
    | 'map';
  /** WGSL of a pipeline, label of a buffer. */
  readonly text?: string;
  /** What was written. */
  readonly data?: Uint8Array;
}

export interface SpiedDevice {
  readonly gpu: Gpu;
  readonly calls: Call[];
  count(what: Call['what']): number;
  /** Ends every mapping that is waited for; without `hold` none is. */
  finish(): void;
  /** Tells of an error that no call is to blame for. */
  fail(message: string): void;
}

export interface SpyOptions {
  readonly features?: readonly string[];
  /** What adapters without a GPU say; so it is unless told. */
  readonly software?: boolean;
  /** Mappings wait for `finish`. */
  readonly hold?: boolean;
  /** Ends when the queue has done its work; at once without it. */
  readonly worked?: Promise<unknown>;
  /** Ends when pipelines may be ready; at once without it. */
  readonly compiled?: Promise<unknown>;
}

export async function openSpiedDevice({
  features = [],
  software = true,
  hold = false,
  worked = Promise.resolve(),
  compiled = Promise.resolve(),
}: SpyOptions = {}): Promise<SpiedDevice> {
  const calls: Call[] = [];
  const held: (() => void)[] = [];
  const nothing = () => ({});
  const tell = (what: Call['what'], more: Omit<Call, 'what'> = {}) => {
    calls.push({ what, ...more });
  };
  const encoder = {
    beginComputePass() {
      tell('pass');
      return { setPipeline() {}, setBindGroup() {}, end() {}, dispatchWorkgroups: () => tell('dispatch') };
    },
    copyBufferToBuffer: () => tell('copy'),
    finish: nothing,
  };
  const device = {
    limits: LIMITS,
    features: new Set(features),
    lost: new Promise(() => {}),
    onuncapturederror: (_event: { error: { message: string } }) => {},
    queue: {
      writeBuffer(_buffer: unknown, _offset: number, data: ArrayBufferView) {
        tell('write', { data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice() });
      },
      submit: () => tell('submit'),
      onSubmittedWorkDone: () => worked,
    },
    pushErrorScope() {},
    popErrorScope: async () => null,
    createBuffer({ size, label }: { size: number; label: string }) {
      tell('buffer', { text: label });
      return {
        size,
        destroy: () => tell('destroy', { text: label }),
        unmap() {},
        mapAsync() {
          tell('map');
          return hold ? new Promise<void>((done) => held.push(done)) : Promise.resolve();
        },
        getMappedRange: () => new ArrayBuffer(size),
      };
    },
    createShaderModule: ({ code }: { code: string }) => ({ code }),
    createBindGroupLayout: nothing,
    createPipelineLayout: nothing,
    async createComputePipelineAsync({ compute }: { compute: { module: { code: string } } }) {
      tell('pipeline', { text: compute.module.code });
      await compiled;
      return { getBindGroupLayout: nothing };
    },
    createBindGroup: nothing,
    createCommandEncoder: () => encoder,
    destroy() {},
  };
  const adapter = {
    info: {},
    limits: LIMITS,
    features: new Set(features),
    requestDevice: async () => device,
  };
  return {
    gpu: await Gpu.open({ adapter, software } as unknown as AdapterChoice),
    calls,
    count: (what) => calls.filter((call) => call.what === what).length,
    finish() {
      for (const done of held.splice(0)) done();
    },
    fail: (message) => device.onuncapturederror({ error: { message } }),
  };
}
